package transport_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

func TestAttemptTellsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
			sodatest.Fault("execution_timeout"), sodatest.Reply{Drop: true}, sodatest.Fault("execution_timeout")))
		defer srv.Close()
		mine := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { mine++ }})
		req := newRequest(t, "PUT", srv.URL+"/resource/abcd-1234/1.json", strings.NewReader(`{"id":"1"}`)).WithContext(ctx)
		resp, err := (&transport.Transport{Base: srv.Transport()}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var got []string
		for i, a := range transport.History(resp) {
			got = append(got, a.Conn)
			if want := int64(len(`{"id":"1"}`)); (i > 0) != (a.BodySent == want) {
				t.Errorf("attempt %d sent %d bytes of its body", a.N, a.BodySent)
			}
		}
		if strings.Join(got, ",") != ",reused,new,reused" || mine != 4 {
			t.Errorf("connections %q, of which the request's own trace saw %d", got, mine)
		}
	})
}

// TestAttemptWithoutAConnection: what cannot be known is not told.
func TestAttemptWithoutAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if r.Body == nil {
				return answer(503, ""), nil
			}
			defer r.Body.Close()
			if n++; n < 3 {
				io.CopyN(io.Discard, r.Body, 3)
				return nil, io.ErrUnexpectedEOF
			}
			return nil, errors.New("no more")
		})}
		_, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", strings.NewReader("12345")))
		var e *transport.Error
		if !errors.As(err, &e) || len(e.History) != 3 {
			t.Fatalf("got %v", err)
		}
		for i, want := range []int64{0, 3, 0} {
			if a := e.History[i]; a.BodySent != want || a.Conn != "" {
				t.Errorf("attempt %d: %d bytes, connection %q", a.N, a.BodySent, a.Conn)
			}
		}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || transport.History(resp)[1].BodySent != 0 {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}
