package transport_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A secret is planted in one place. It has what is escaped in URLs and in JSON.
func secret(place string) string { return "s3cr3t/" + place + "+7f==" }

// The places of a request that secrets travel in, and those that the server
// cannot repeat as it is never told, or that only it knows.
var (
	inQuery  = []string{"$$app_token", "app_token", "access_token", "refresh_token", "client_secret", "code", "ticket"}
	inHeader = []string{"X-App-Token", "Authorization", "Authentication", "Cookie", "X-Csrf-Token", "Proxy-Authorization"}
	others   = []string{"password", "fragment", "below", "context", "unknown_param", "Set-Cookie", "Location", "poll-ticket", "limiter", "get-body", "cause", "body"}
)

// forms are the ways in which a secret could be written.
func forms(s string) []string {
	js, _ := json.Marshal(s)
	bytesOf := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(s)), "[]byte{"), "}")
	return []string{
		s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(js), `"`), bytesOf, strings.Trim(fmt.Sprint([]byte(s)), "[]"),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
		base64.StdEncoding.EncodeToString([]byte("me:" + s)), base64.URLEncoding.EncodeToString([]byte("me:" + s)),
	}
}

// A vault collects all that is put out and looks for secrets in it.
type vault struct {
	t       *testing.T
	secrets map[string]string // a form, and the place it is of
	outputs int
}

func newVault(t *testing.T) *vault {
	v := &vault{t: t, secrets: map[string]string{}}
	for _, places := range [][]string{inQuery, inHeader, others} {
		for _, place := range places {
			for _, form := range forms(secret(place)) {
				v.secrets[form] = place
			}
		}
	}
	return v
}

// look searches a text. What a person asked for, and the server repeats, is for
// the caller only: not for what is made for logs.
func (v *vault) look(what, text string, log bool) {
	v.outputs++
	for form, place := range v.secrets {
		if strings.Contains(text, form) {
			v.t.Errorf("%s shows the secret of %s, %q:\n%s", what, place, form, text)
		}
	}
	if log && strings.Contains(text, "Jane Doe") {
		v.t.Errorf("%s shows what the server said:\n%s", what, text)
	}
}

// print searches x in every way of printing it.
func (v *vault) print(what string, x any, log bool) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		v.look(what+", "+verb, fmt.Sprintf(verb, x), log)
	}
	js, err := json.Marshal(x)
	if err == nil {
		v.look(what+", JSON", string(js), log)
	}
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("", "x", x)
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("", "x", x)
	v.look(what+", slog text", text.String(), log)
	v.look(what+", slog JSON", lines.String(), log)
	v.look(what+", in a struct", fmt.Sprintf("%+v", struct{ hidden any }{x}), log)
}

// error searches err and all that it wraps, as RoundTrip gave it.
func (v *vault) error(what string, err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		v.print(what, err, false)
		var e *transport.Error
		if errors.As(err, &e) {
			v.print(what+", history", e.History, true)
		}
		if _, ok := err.(interface{ GoString() string }); ok {
			return // a text was redacted: what is under it is the original
		}
	}
}

// plant returns a request with a secret in every place.
func plant(t *testing.T) *http.Request {
	q := url.Values{"$limit": {"5"}, "$where": {"name='Jane Doe'"}, "unknown_param": {secret("unknown_param")}}
	for _, name := range inQuery {
		q.Set(name, secret(name))
	}
	u := &url.URL{Scheme: "https", Host: "data.test", Path: "/resource/abcd-1234.json", User: url.UserPassword("me", secret("password")),
		RawQuery: q.Encode(), Fragment: secret("fragment")}
	type key struct{}
	req := newRequest(t, "PUT", u.String(), strings.NewReader(secret("body")))
	req = req.WithContext(context.WithValue(req.Context(), key{}, secret("context")))
	for _, name := range inHeader {
		req.Header.Set(name, secret(name))
	}
	req.Header.Set("Authorization", "Bearer "+secret("Authorization"))
	req.Header.Set("Authentication", "OAuth "+secret("Authentication"))
	req.Header.Set("Proxy-Authorization", "Basic "+secret("Proxy-Authorization"))
	req.Header.Set("Cookie", "_core_session_id="+secret("Cookie"))
	return req
}

// leaky answers with all that r has told it, and with secrets of its own.
func leaky(r *http.Request, status int) *http.Response {
	var told []string
	for _, name := range inQuery {
		told = append(told, r.URL.Query().Get(name), url.QueryEscape(r.URL.Query().Get(name)))
	}
	for _, name := range inHeader {
		if v := r.Header.Get(name); v != "" {
			told = append(told, v, url.QueryEscape(v[strings.LastIndexAny(v, " =")+1:]), v[strings.Index(v, "s3cr3t"):])
		}
	}
	password, _ := r.URL.User.Password()
	all := strings.Join(append(told, password), " ")
	body, _ := json.Marshal(map[string]any{"code": "no_" + all, "message": "Jane Doe asked with " + all, "data": map[string]any{"q": all}})
	resp := answer(status, string(body))
	resp.Header.Set("Set-Cookie", "_core_session_id="+secret("Set-Cookie"))
	resp.Header.Set("Content-Type", "application/json")
	resp.Request = r
	return resp
}

// urlError is an error whose type prints where it was.
type urlError string

func (e urlError) Error() string   { return "cannot reach " + string(e) }
func (e urlError) Timeout() bool   { return true }
func (e urlError) Temporary() bool { return true }

// TestNoSecretIsShown plants a secret wherever one can travel, lets everything
// go wrong, and searches all that anybody could print.
func TestNoSecretIsShown(t *testing.T) {
	whole := func(r *http.Request) string { return r.URL.String() }
	for _, row := range []struct {
		name string
		base baseFunc
		rt   *transport.Transport // with what the row wants; nil for none
		req  func(*http.Request) *http.Request
	}{
		{name: "a throttle", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 503), nil }},
		{name: "a refusal", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 403), nil }},
		{name: "a lock", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 409), nil }},
		{name: "a success", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 200), nil }},
		{name: "a redirect", base: func(r *http.Request) (*http.Response, error) {
			resp := leaky(r, 302)
			resp.Header.Set("Location", "https://me:"+secret("Location")+"@%zz/?code="+secret("Location"))
			return resp, nil
		}},
		{name: "a job", base: func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return leaky(r, 500), nil
			}
			resp := leaky(r, 202)
			resp.Header.Set("Location", "/jobs/1?ticket="+url.QueryEscape(secret("poll-ticket"))+"#"+secret("Location"))
			return resp, nil
		}},
		{name: "a ticket", base: func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return nil, &url.Error{Op: "Get", URL: whole(r), Err: io.ErrUnexpectedEOF}
			}
			resp := answer(202, `{"ticket":"`+secret("poll-ticket")+`"}`)
			resp.Request = r
			return resp, nil
		}},
		{name: "a passing error with the URL", base: func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Put", URL: whole(r), Err: fmt.Errorf("at %s: %w", r.URL.RequestURI(), io.ErrUnexpectedEOF)}
		}},
		{name: "a final error with the URL", base: func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("PUT %s: no", whole(r))
		}},
		{name: "an error of a type that is its text", base: func(r *http.Request) (*http.Response, error) {
			return nil, urlError(whole(r))
		}},
		{name: "a token that is refused", base: func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-App-Token") == "" {
				return leaky(r, 200), nil
			}
			resp := leaky(r, 403)
			said, _ := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(bytes.NewReader(bytes.Replace(said, []byte("Jane"), []byte("Invalid app_token: Jane"), 1)))
			return resp, nil
		}},
		{name: "a Limiter that fails", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 200), nil },
			rt: &transport.Transport{Limiter: &refusal{errors.New("dial redis://me:" + secret("limiter") + "@cache: no")}}},
		{name: "a GetBody that fails", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 503), nil },
			req: func(r *http.Request) *http.Request {
				r.GetBody = func() (io.ReadCloser, error) { return nil, urlError("https://x.test/?sig=" + secret("get-body")) }
				return r
			}},
		{name: "a cause", base: func(r *http.Request) (*http.Response, error) { return leaky(r, 503), nil },
			req: func(r *http.Request) *http.Request {
				ctx, cancel := context.WithCancelCause(r.Context())
				rt := r.WithContext(ctx)
				cancel(urlError("https://x.test/?sig=" + secret("cause")))
				return rt
			}},
		{name: "a body that is cut", req: asGet, base: func(r *http.Request) (*http.Response, error) {
			resp := leaky(r, 200)
			resp.ContentLength = 1 << 20
			return resp, nil
		}},
		{name: "a body that is cut and gone", req: asGet, base: alternately(
			func(r *http.Request) (*http.Response, error) {
				resp := leaky(r, 200)
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), torn{urlError(whole(r))}))
				return resp, nil
			},
			func(r *http.Request) (*http.Response, error) { return leaky(r, 404), nil })},
		{name: "a body that is cut and goes on", req: asGet, base: alternately(
			func(r *http.Request) (*http.Response, error) {
				resp := answer(200, "")
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), torn{urlError(whole(r))}))
				return resp, nil
			},
			func(*http.Request) (*http.Response, error) { return answer(200, "xyz"), nil })},
		{name: "a body that is cut, and no way back", req: asGet, base: alternately(
			func(r *http.Request) (*http.Response, error) {
				resp := answer(200, "")
				resp.Body = io.NopCloser(torn{io.ErrUnexpectedEOF})
				return resp, nil
			},
			func(r *http.Request) (*http.Response, error) { return nil, urlError(whole(r)) })},
		{name: "an error at a body's end", req: asGet, base: func(r *http.Request) (*http.Response, error) {
			resp, all := leaky(r, 200), leaky(r, 500)
			said, _ := io.ReadAll(all.Body)
			resp.Body = io.NopCloser(strings.NewReader(`[{"id":"1"}` + `{"error":true,` + string(said[1:])))
			return resp, nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVault(t)
				everything(v, cmp.Or(row.rt, new(transport.Transport)), row.base, row.req)
				if v.outputs < 100 {
					t.Errorf("only %d texts were searched", v.outputs)
				}
			})
		})
	}
}

// alternately answers as one, then as the other.
func alternately(one, other baseFunc) baseFunc {
	n := 0
	return func(r *http.Request) (*http.Response, error) {
		if n++; n%2 == 1 {
			return one(r)
		}
		return other(r)
	}
}

func asGet(r *http.Request) *http.Request {
	r.Method, r.Body, r.GetBody, r.ContentLength = "GET", nil, nil, 0
	return r
}

type refusal struct{ err error }

func (f *refusal) Wait(context.Context) error { return f.err }

type torn struct{ err error }

func (b torn) Read([]byte) (int, error) { return 0, b.err }

// everything sends the request through all RoundTrippers at once and has v
// search what comes of it.
func everything(v *vault, rt *transport.Transport, base baseFunc, change func(*http.Request) *http.Request) {
	var logs [2]bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	text, lines := transport.LogTo(slog.NewTextHandler(&logs[0], options)), transport.LogTo(slog.NewJSONHandler(&logs[1], options))
	hook := func(e transport.Event) {
		v.print("an Event", e, true)
		v.print("an Attempt", e.Attempt(), true)
		text(e)
		lines(e)
	}
	rt.Base = &transport.AppToken{Token: secret("below"), Host: "data.test", Optional: true, Base: base,
		OnRefused: func(e *classify.Error) { v.error("a refused token", e) }}
	rt.Policy = policy.Policy{MaxAttempts: 3}
	rt.Pacer = &pace.Pacer{OnEvent: func(e pace.Event) { hook(transport.Event{Kind: transport.PaceChanged, Pace: e}) }}
	rt.OnEvent = hook
	status := &transport.StatusErrors{Base: &transport.Resume{OnEvent: hook, Base: rt}}
	for _, client := range []http.RoundTripper{rt, status, &transport.Resume{OnEvent: hook, Base: rt.Base}} {
		req := plant(v.t)
		if change != nil {
			req = change(req)
		}
		req.Header.Del("X-App-Token") // so that AppToken sets its own
		resp, err := client.RoundTrip(req)
		if _, ok := client.(*transport.Resume); ok { // which hands Base's errors back
			err = classify.RedactError(err)
		}
		v.error("RoundTrip's error", err)
		if err == nil {
			v.print("the History", transport.History(resp), true)
			v.error("Check's error", classify.Check(resp))
			_, err = io.Copy(io.Discard, resp.Body)
			if client == rt { // the body is Base's, and so is its error
				err = classify.RedactError(err)
			}
			v.error("a body's error", err)
			resp.Body.Close()
		}
		if req = plant(v.t); change != nil {
			req = change(req)
		}
		resp, err = (&http.Client{Transport: client}).Do(req)
		v.error("http.Client's error", classify.RedactError(err))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			if client == rt {
				err = classify.RedactError(err)
			}
			v.error("a body's error", err)
			resp.Body.Close()
		}
	}
	for _, log := range &logs {
		v.look("the log", log.String(), true)
	}
	v.print("Snapshot", rt.Pacer.Snapshot(), true)
	v.print("the Pacer", rt.Pacer, true)
	v.print("AppToken", rt.Base, true)
	v.print("the Transport", rt, true)
}

// TestErrorOfBaseHasTheURL: what was asked for is known, and found in a text
// that it cannot be told from.
func TestErrorOfBaseHasTheURL(t *testing.T) {
	const at = `https://data.test/a.json?$where=name = "Jane Doe"&my_key=a-secret`
	for _, attempts := range []int{1, 2} {
		for _, last := range []error{io.EOF, errors.New("no")} {
			synctest.Test(t, func(t *testing.T) {
				rt := &transport.Transport{Policy: policy.Policy{MaxAttempts: attempts}, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					query, _ := url.QueryUnescape(r.URL.RawQuery)
					return nil, fmt.Errorf("GET %s or %s or %s: %w", at, r.URL, query, last)
				})}
				_, err := rt.RoundTrip(newRequest(t, "GET", at, nil))
				js, _ := json.Marshal(err)
				if all := err.Error() + string(js); !errors.Is(err, last) || strings.Contains(all, "a-secret") || strings.Contains(all, "Doe") {
					t.Errorf("%s", all)
				}
			})
		}
	}
}
