package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// An upload is a file on its way into a data set.
type upload struct {
	origin  string // of the portal: "https://data.example.gov"
	dataset string
	path    string // of the file

	identifier            bool // the rows may be sent twice
	gzip                  bool
	token, user, password string
	policy                policy.Policy
	base                  http.RoundTripper // nil but in tests
	show                  *progress
}

// run sends the rows, and prints the portal's summary on out.
func (u *upload) run(ctx context.Context, out io.Writer) error {
	req, err := u.request(ctx)
	if err != nil {
		return err
	}
	resp, err := u.client(req.URL).Do(req)
	if err != nil {
		return u.failure(err, nil)
	}
	defer resp.Body.Close()
	switch err := classify.Check(resp); {
	case err != nil:
		return u.failure(err, transport.History(resp))
	case resp.StatusCode/100 == 3:
		return fmt.Errorf("the portal answers %d: the data set has moved to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	sum, err := readSummary(resp.Body)
	u.show.done()
	if err != nil {
		return err
	}
	fmt.Fprint(out, sum)
	if *sum.Errors > 0 {
		return fmt.Errorf("the portal did not take %d of the rows, although it answered %d", *sum.Errors, resp.StatusCode)
	}
	return nil
}

// request is the upsert. Its body is a new one for each attempt.
func (u *upload) request(ctx context.Context) (*http.Request, error) {
	src, err := newSource(u.path, u.gzip, u.show)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.origin+"/resource/"+u.dataset+".json", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Accept", "application/json")
	req.ContentLength = src.info.Size()
	if u.gzip {
		req.Header.Set("Content-Encoding", "gzip")
		req.ContentLength = -1 // known when all has been sent
	}
	if u.user != "" {
		req.SetBasicAuth(u.user, u.password)
	}
	req.GetBody = src.open
	req.Body, err = src.open()
	return req, err
}

// client has the two lines that matter: a Policy whose Resend says what only
// the caller can know, and no redirects, which could turn the upsert into the
// GET of a login page or send the rows elsewhere.
func (u *upload) client(to *url.URL) *http.Client {
	p := u.policy
	p.Resend = func(*http.Request) bool { return u.identifier }
	return &http.Client{
		Transport: &transport.Transport{
			Base:    &transport.AppToken{Token: u.token, Host: to.Host, Base: u.base},
			Policy:  p,
			OnEvent: u.tell,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tell prints what an attempt came to, unless it is what was hoped for.
func (u *upload) tell(e transport.Event) {
	if e.Kind == transport.AttemptDone && e.Attempt().Status != http.StatusOK {
		u.show.say(e.Attempt().String())
	}
}

// A laterError is a failure that another upload at another time may not meet.
type laterError struct {
	err error
	at  time.Time // zero if it is not known
}

func (e *laterError) Error() string {
	if e.at.IsZero() {
		return e.err.Error() + "\ntry again later"
	}
	return e.err.Error() + "\ntry again at " + e.at.UTC().Format(time.RFC3339)
}

func (e *laterError) Unwrap() error { return e.err }

// failure says whether the rows may be sent again by another upload: if what
// went wrong can pass, and either none of the attempts was acted on, or it does
// no harm.
func (u *upload) failure(err error, history []transport.Attempt) error {
	var e *transport.Error
	if errors.As(err, &e) {
		err, history = e, e.History // without the *url.Error around it
	}
	if len(history) == 0 || errors.Is(err, context.Canceled) {
		return err
	}
	last := history[len(history)-1]
	if e == nil && last.Why != "" { // a *transport.Error says it itself
		err = fmt.Errorf("%w: %s", err, last.Why)
	}
	acted := slices.ContainsFunc(history, func(a transport.Attempt) bool { return a.Acted != classify.ActedNo })
	switch {
	case last.Class == classify.Final:
		return err
	case acted && !u.identifier:
		return fmt.Errorf("%w\nthe rows may be in or not: look before you send them again", err)
	}
	return &laterError{err, last.RetryAt}
}

// A summary is what the portal says of an upsert.
type summary struct {
	Errors  *int `json:"Errors"` // nil if it is not a summary at all
	Created int  `json:"Rows Created"`
	Updated int  `json:"Rows Updated"`
	Deleted int  `json:"Rows Deleted"`
}

func (s *summary) String() string {
	return fmt.Sprintf("Rows Created: %d\nRows Updated: %d\nRows Deleted: %d\nErrors: %d\n", s.Created, s.Updated, s.Deleted, *s.Errors)
}

// readSummary reads the body of a 200.
func readSummary(body io.Reader) (*summary, error) {
	const unknown = "the portal took the upload, and did not say what came of the rows: "
	b, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf(unknown+"%w", err)
	}
	sum := new(summary)
	if json.Unmarshal(b, sum) != nil || sum.Errors == nil {
		return nil, fmt.Errorf(unknown+"%.200q", b)
	}
	return sum, nil
}
