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
// The server speaks /resource (SODA 2: JSON, CSV, upsert, replace, single rows),
// /api/v3/views/{id}/query and export (SODA 3), /api/imports2 with its tickets,
// /api/views/{id}/publication and /api/views/{id}. Of SoQL it knows SELECT with
// columns or count(*), WHERE with comparisons joined by AND, ORDER BY, LIMIT and
// OFFSET; anything else is a 400, as garbage is.
package sodatest
