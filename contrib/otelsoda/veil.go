package otelsoda

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sodahttp/sodahttp/classify"
)

// otelhttp writes the whole URL into its spans, and the texts of errors. So it
// stands between a veil, which shows it a request with another URL, and an
// unveil, which sends the real one. That holds for whatever a later version of
// it may want to show, too.

// A veil shows Base the request as it may be seen by anybody.
type veil struct{ Base http.RoundTripper }

type sendingKey struct{}

// A sending is what passes beneath the veil.
type sending struct {
	url *url.URL
	err error // as the user's Base gave it
}

// RoundTrip sends req.
func (v *veil) RoundTrip(req *http.Request) (*http.Response, error) {
	s := &sending{url: req.URL}
	shown := req.WithContext(context.WithValue(req.Context(), sendingKey{}, s))
	_, query, _ := strings.Cut(classify.Redact(req.URL), "?")
	shown.URL = &url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: query}
	resp, err := v.Base.RoundTrip(shown)
	if s.err != nil {
		err = s.err // what it is, classify decides by its type
	}
	return resp, err
}

// An unveil sends the request that is meant. It runs under the attempt's span.
type unveil struct{ Base http.RoundTripper }

// RoundTrip sends the request that shown stands for.
func (u *unveil) RoundTrip(shown *http.Request) (*http.Response, error) {
	ctx := shown.Context()
	s := ctx.Value(sendingKey{}).(*sending)
	req := *shown
	req.URL = s.url
	span := trace.SpanFromContext(ctx)
	if c := callOf(ctx); c != nil {
		if n := c.before + c.sent; n > 0 {
			span.SetAttributes(semconv.HTTPRequestResendCount(n))
		}
		c.sent++
	}
	resp, err := u.Base.RoundTrip(&req)
	if err != nil {
		s.err = err
		return resp, classify.RedactError(err)
	}
	if resp == nil {
		return nil, nil
	}
	if id := resp.Header.Get("X-Socrata-Requestid"); id != "" && len(id) <= 100 {
		span.SetAttributes(semconv.HTTPResponseHeader("x-socrata-requestid", id))
	}
	if _, both := resp.Body.(io.Writer); resp.Body != nil && resp.Body != http.NoBody && !both {
		resp.Body = &body{resp.Body}
	}
	return resp, nil
}

// A body keeps what is not to be shown out of the errors of reading it.
type body struct{ io.ReadCloser }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = classify.RedactError(err)
	}
	return n, err
}
