// Package sodatest is a fake Socrata server for testing programs that talk to
// one: it serves small data sets the way Socrata does, with its headers and its
// error bodies, and it misbehaves on demand.
//
//	srv := sodatest.NewServer(sodatest.Replies(
//		sodatest.Fault("too-many-requests"),  // the first request gets a 429,
//		sodatest.Reply{Cut: 100},             // the second 100 bytes of its data,
//	))                                        // all later ones the data
//	defer srv.Close()
//	resp, err := srv.Client().Get(srv.URL + "/resource/" + sodatest.SampleID + ".json")
//
// A server listens on a TCP port of the loopback interface. With [InMemory] it
// has a network of its own, made of [net.Pipe], and so it can live inside a
// [testing/synctest] bubble, where an hour of waiting passes at once and a
// goroutine left behind fails the test. Time is the time package's everywhere:
// inside a bubble all delays, limits and outages are in the bubble's time.
//
// Faults come by script ([Replies], [Server.Script]), each reply used up by one
// request, or by model ([TokenBucket], [FixedWindow], [Concurrency], [Outage],
// [Every], [Latency], [Token]), for as long as the server runs. [Server.Requests]
// tells what arrived.
//
// The server speaks
//
//   - /resource/{id}, .json and .csv (SODA 2): GET in JSON and CSV, upsert (POST)
//     and replace (PUT) with application/json or text/csv, also under
//     Content-Encoding: gzip; and /resource/{id}/{row}.json for single rows, in
//     JSON only;
//   - /api/v3/views/{id}/query and export (SODA 3), in JSON and CSV; a POST has
//     its question in JSON;
//   - /api/imports2 with its tickets; what is uploaded there is not looked into,
//     and so no rows come of it;
//   - /api/views/{id}/publication, and /api/views/{id} or /views/{id} for what is
//     known of a data set.
//
// In text/csv an empty cell is a null. Of SoQL the server knows SELECT with columns
// or count(*), WHERE with comparisons joined by AND, ORDER BY, LIMIT and OFFSET;
// anything else is a 400, as garbage is.
//
// Give it a [Latency] when requests are paced, as those of every Transport are by
// its Pacer: without one an answer takes no time at all in a bubble, and what is
// learned from that says nothing about a portal.
//
// A 202 with a ticket is a [Reply] with its Ticket; a bare 202, without a body, is
// Reply{Status: 202}.
package sodatest
