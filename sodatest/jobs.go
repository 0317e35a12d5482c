package sodatest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
)

// A job is what a 202 stands for: the import of a data set, or a copy of one.
type job struct {
	view string // the data set that there will be
	all  int    // polls until it is done
	left int    // polls until it is done, from now

	of   *http.Request // for a ticket that a Reply gave: the request that got it
	body []byte
}

// newJob starts a job that ends in view and is done after n polls.
func newJob(view string, n int) *job { return &job{view: view, all: n, left: n} }

// nextID makes a 4x4 id for a new data set. There are more of them than memory
// for data sets.
func (s *Server) nextID() string {
	for {
		s.made++
		if id := numbered("2222-2222", s.made); s.datasets[id] == nil {
			return id
		}
	}
}

// startTicket starts a job with a ticket.
func (s *Server) startTicket(view string) *answer {
	s.made++
	h := hash("ticket", s.made)
	ticket := fmt.Sprintf("%x", h[:16])
	ticket = ticket[:8] + "-" + ticket[8:12] + "-" + ticket[12:16] + "-" + ticket[16:20] + "-" + ticket[20:]
	s.jobs[ticket] = newJob(view, s.polls)
	return acceptedAnswer(202, ticket, "")
}

// scripted remembers the request that a Reply gives a ticket, so that the
// ticket can be asked for: the request is carried out when its job is done.
func (s *Server) scripted(r *http.Request, body []byte, reply Reply) {
	ticket := reply.Ticket
	if reply.Code == "accepted" {
		ticket = or(ticket, sampleTicket)
	}
	if ticket != "" && r.URL.Query().Get("ticket") == "" {
		j := newJob("", s.polls)
		j.of, j.body = r.Clone(context.Background()), body
		s.jobs[ticket] = j
	}
}

// carryOut gives the server's own answer to a request, or to the one that a
// ticket stands for.
func (s *Server) carryOut(r *http.Request, body []byte) *answer {
	ticket := r.URL.Query().Get("ticket")
	if j := s.jobs[ticket]; j != nil && j.of != nil && isRead(r) {
		if j.left == 0 {
			return s.own(j.of, j.body)
		}
		j.left--
		return acceptedAnswer(http.StatusAccepted, ticket, "")
	}
	return s.own(r, body)
}

// poll answers a GET with a ticket.
func (s *Server) poll(ticket string) *answer {
	j := s.jobs[ticket]
	switch {
	case j == nil:
		return errorAnswer(404, "not_found", "Not found", `{"ticket":`+quoteJSON(ticket)+`}`)
	case j.left > 0:
		j.left--
		return acceptedAnswer(202, ticket, fmt.Sprintf(`{"status":"Importing","stage":"rows","progress":%d}`, 100*(j.all-j.left)/(j.all+1)))
	}
	return s.datasets[j.view].view()
}

// imports answers /api/imports2. What is uploaded there is not looked into: the
// job makes an empty data set, or ends in the one that viewUid names.
func (s *Server) imports(r *http.Request) *answer {
	args := r.URL.Query()
	switch {
	case isRead(r):
		return s.poll(args.Get("ticket"))
	case r.Method != http.MethodPost:
		return methodNotAllowed(r, "GET", "POST")
	}
	view := args.Get("viewUid")
	if view == "" {
		view = s.nextID()
		s.datasets[view] = newDataset(view, s.start)
	} else if s.datasets[view] == nil {
		return viewMissing(view)
	}
	return s.startTicket(view)
}

// publication answers /api/views/{id}/publication: a bare 202, and the copy when
// the client comes back with a GET or with the same POST; with async=true, a
// ticket.
func (s *Server) publication(r *http.Request, body []byte, id string) *answer {
	d, args := s.datasets[id], r.URL.Query()
	if args.Has("ticket") && isRead(r) {
		return s.poll(args.Get("ticket"))
	}
	key := r.URL.Path + "?method=" + args.Get("method")
	j := s.jobs[key]
	switch {
	case d == nil:
		return viewMissing(id)
	case !isRead(r) && r.Method != http.MethodPost:
		return methodNotAllowed(r, "GET", "POST")
	case j != nil && j.left > 0:
		j.left--
		return s.datasets[j.view].view()
	case isRead(r) && j != nil:
		return s.datasets[j.view].view()
	case isRead(r):
		return errorAnswer(404, "not_found", "Not found", `{"id":`+quoteJSON(id)+`}`)
	}
	twin := s.copy(d, args.Get("method") == "copySchema")
	if args.Get("async") == "true" || bytes.Contains(body, []byte("async=true")) {
		return s.startTicket(twin)
	}
	s.jobs[key] = newJob(twin, 1)
	return &answer{status: 202, header: http.Header{"Content-Type": {jsonType}}}
}

// copy makes a copy of d, and returns its id.
func (s *Server) copy(d *dataset, schemaOnly bool) string {
	twin := newDataset(s.nextID(), d.created)
	d.makeAll()
	for _, r := range d.rows {
		twin.add(twin.take(r))
	}
	if schemaOnly {
		twin.rows, twin.byID = nil, map[string]int{}
	}
	s.datasets[twin.id] = twin
	return twin.id
}
