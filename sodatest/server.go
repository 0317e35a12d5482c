package sodatest

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// SampleID names the data set that every server has, 25 rows of [GenerateRows],
// unless a [Dataset] of that name takes its place.
const SampleID = "abcd-1234"

// A Server is a fake Socrata. It starts with [NewServer] and must be closed.
// All its methods may be called from several goroutines at once.
type Server struct {
	// URL is where the server is, without a slash at the end:
	// "http://127.0.0.1:4242", or "http://socrata.test" in memory.
	URL string

	inMemory  bool
	start     time.Time     // what Outage and FixedWindow count from
	done      chan struct{} // closed by Close
	closing   sync.Once
	running   sync.WaitGroup // the listener, each connection, each handler
	http      *http.Server
	transport *http.Transport
	latency   func() time.Duration
	latencyMu sync.Mutex // apart from mu: the user's function may take its time

	mu       sync.Mutex // guards all that follows
	requests []*Request
	script   []Reply
	faults   models
	datasets map[string]*dataset
	jobs     map[string]*job
	polls    int // how many 202s a ticket answers before it is done
	made     int // identifiers handed out for tickets and copies
}

// An Option sets up a [Server]. The order of options does not matter, except
// that [Replies], [Outage] and [Every] may be given several times and then keep
// their order.
type Option func(*Server)

// NewServer starts a server. It panics if no port of the loopback interface can
// be had, as [net/http/httptest.NewServer] does.
func NewServer(opts ...Option) *Server {
	s := &Server{
		start:    time.Now(),
		done:     make(chan struct{}),
		faults:   newModels(),
		datasets: map[string]*dataset{},
		jobs:     map[string]*job{},
		polls:    2,
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.datasets[SampleID] == nil {
		Dataset(SampleID, GenerateRows(25))(s)
	}
	s.listen()
	return s
}

// listen starts the HTTP server and makes the Transport that reaches it.
func (s *Server) listen() {
	var ln net.Listener
	s.transport = &http.Transport{
		MaxIdleConnsPerHost:   1 << 10, // a pool that never closes what a test may count
		ExpectContinueTimeout: time.Second,
	}
	if s.inMemory {
		pipes := newPipeListener(s.done)
		ln, s.URL, s.transport.DialContext = pipes, "http://socrata.test", pipes.dial
	} else {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic("sodatest: no port to listen on: " + err.Error())
		}
		ln, s.URL, s.transport.DialContext = tcp, "http://"+tcp.Addr().String(), dialOnly(tcp.Addr())
	}
	// An https URL arrives here too, without TLS: programs have the scheme of
	// their portal built in, and there is no certificate to show.
	s.transport.DialTLSContext = s.transport.DialContext
	s.http = &http.Server{
		Handler:   http.HandlerFunc(s.serve),
		ConnState: s.connState,
		ErrorLog:  log.New(io.Discard, "", 0), // broken connections are the point
	}
	s.running.Go(func() { s.http.Serve(ln) })
}

// connState counts the connections, so that Close can wait for them.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.running.Add(1)
		select {
		case <-s.done: // accepted while closing: net/http may have missed it
			c.Close()
		default:
		}
	case http.StateClosed, http.StateHijacked:
		s.running.Done()
	}
}

// Client returns a new client over [Server.Transport]. It follows redirects as
// any [http.Client] does and repeats nothing by itself; but see [Reply.Drop].
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.transport} }

// Transport returns the server's one Transport. It reaches this server only,
// whatever the host and the scheme of the URL: a redirect to http://other.test
// arrives here as well, and [Request.Host] tells which host was meant.
func (s *Server) Transport() *http.Transport { return s.transport }

// Close stops the server: it breaks every connection, waits until all handlers
// have returned, and leaves no goroutine behind. It may be called twice.
func (s *Server) Close() {
	s.closing.Do(func() {
		close(s.done)
		s.http.Close()
		s.transport.CloseIdleConnections()
		s.running.Wait()
	})
}

// InMemory keeps the server off the real network: connections are made of
// [net.Pipe] and only [Server.Transport] reaches it. In a [testing/synctest]
// bubble this is needed, since waiting for a real socket stops the bubble's clock.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// Polls sets how often the ticket of an import, or of a publication with
// async=true, answers 202 before it is done. The default is 2; 0 is done at once.
func Polls(n int) Option { return func(s *Server) { s.polls = n } }
