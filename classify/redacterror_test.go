package classify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

func TestRedactError(t *testing.T) {
	const at = "https://me:pw@x.gov/a.json?$limit=5&$$app_token=" + token + "#top"
	get := func(err error) error { return &url.Error{Op: "Get", URL: at, Err: err} }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"http.Client's", get(io.EOF), `Get "https://x.gov/a.json?$limit=5&$$app_token=***": EOF`},
		{"one in another", fmt.Errorf("row 7: %w", get(io.EOF)), `row 7: Get "https://x.gov/a.json?$limit=5&$$app_token=***": EOF`},
		{"one in one", get(get(io.EOF)), `Get "https://x.gov/a.json?$limit=5&$$app_token=***": Get "https://x.gov/a.json?$limit=5&$$app_token=***": EOF`},
		{"two joined", errors.Join(io.EOF, get(io.EOF)), "EOF\n" + `Get "https://x.gov/a.json?$limit=5&$$app_token=***": EOF`},
		{"a URL that is none", &url.Error{Op: "Get", URL: "http://x.gov/%zz?" + token, Err: io.EOF}, `Get "***": EOF`},
		{"a URL with a space and a quote", fmt.Errorf("at %w", &url.Error{Op: "Get", URL: `http://x.gov/?a=" ` + token, Err: io.EOF}), `at Get "http://x.gov/?a=***": EOF`},
		{"a URL with nothing to hide", &url.Error{Op: "Get", URL: "http://x.gov/a", Err: io.EOF}, `Get "http://x.gov/a": EOF`},
		{"no URL", &url.Error{Op: "Get", Err: io.EOF}, `Get "": EOF`},
		{"a URL in a text", fmt.Errorf("asking %s: refused", at), "asking https://x.gov/a.json?$limit=5&$$app_token=***: refused"},
		{"a value like a scheme", errors.New("asking /a?0=" + token + "://"), "asking /a?0=***"},
		{"and without a path", errors.New("with a=1&t=" + token + "://x"), "with a=***&t=***"},
		{"and alone", errors.New("with $$App_Token=" + token + "://x"), "with $$App_Token=***"},
		{"a URL behind a word", errors.New("url=https://x.gov/a?t=" + token), "url=https://x.gov/a?t=***"},
		{"a fragment", errors.New("asking https://x.gov/#" + token), "asking https://x.gov/"},
		{"at a sentence's end", errors.New("asked (https://x.gov/?$limit=1&t=" + token + "). Sorry"), "asked (https://x.gov/?$limit=1&t=***. Sorry"},
		{"a text that is none to parse", errors.New("bad https://x.gov/%zz?" + token), "bad ***"},
		{"userinfo of another scheme", errors.New("dial redis://:" + token + "@cache:6379: refused"), "dial redis://cache:6379: refused"},
		{"a path and a query", errors.New(`GET "/a.json?$offset=5&x=` + token + `" failed`), `GET "/a.json?$offset=5&x=***" failed`},
		{"a query alone", errors.New("query $limit=5&$$app_token=" + token), "query $limit=5&$$app_token=***"},
		{"a question", errors.New("is it so? then = it is"), "is it so? then = it is"},
		{"space around", errors.New(" a=b  c?=d\n"), " a=b  c?***\n"},
		{"a line of a header", fmt.Errorf("cut: %w", textproto.ProtocolError("malformed MIME header line: Set-Cookie "+token)), "cut: malformed MIME header line: ***"},
		{"plain", io.EOF, "EOF"},
	} {
		got := classify.RedactError(c.err)
		if got.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		js, err := json.Marshal(got)
		if all := fmt.Sprintf("%v %+v %#v %s", got, got, got, js); err != nil || strings.Contains(all, token) {
			t.Errorf("%s: %s, %v", c.name, all, err)
		}
	}
	if classify.RedactError(nil) != nil {
		t.Error("nil became an error")
	}
}

// told is a timeout that shows where.
type told string

func (e told) Error() string   { return "at http://x.gov/?t=" + string(e) }
func (e told) Timeout() bool   { return true }
func (e told) Temporary() bool { return true }

func TestRedactErrorKeepsWhatItIs(t *testing.T) {
	inner := told(token)
	err := classify.RedactError(&url.Error{Op: "Get", URL: "http://x.gov/?t=" + token, Err: inner})
	var ne interface {
		Timeout() bool
		Temporary() bool
	} // as net.Error
	var ue *url.Error
	var own told
	if !errors.As(err, &ne) || !ne.Timeout() || !ne.Temporary() {
		t.Errorf("%v is no timeout any more", err)
	}
	if !errors.As(err, &ue) || ue.URL != "http://x.gov/?t=***" || !ue.Timeout() || !errors.As(err, &own) || !errors.Is(err, inner) {
		t.Errorf("%v has lost what it wraps", err)
	}
	if text := fmt.Sprintf("%#v", ue.Err); strings.Contains(text, token) {
		t.Errorf("%s shows the token", text)
	}
	calm := classify.RedactError(errors.New("http://x.gov/?t=" + token))
	if errors.As(calm, &ne) && (ne.Timeout() || ne.Temporary()) {
		t.Errorf("%v became a timeout", calm)
	}
	for _, same := range []error{context.DeadlineExceeded, &url.Error{Op: "Get", URL: "http://x.gov/a", Err: io.EOF}} {
		if got := classify.RedactError(same); got != same {
			t.Errorf("%v, with nothing to hide, came back as another", same)
		}
	}
}

func TestRedactErrorOfAClient(t *testing.T) {
	client := &http.Client{Transport: base(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://%zz/?code=" + token}}, Body: http.NoBody}, nil
	})}
	_, err := client.Get("https://me:" + token + "@x.gov/?app_token=" + token)
	if err == nil || !strings.Contains(err.Error(), token) {
		t.Fatalf("%v shows no token, so there is nothing to hide", err)
	}
	if got := classify.RedactError(err).Error(); strings.Contains(got, token) || !strings.Contains(got, "https://x.gov/?app_token=***") {
		t.Errorf("got %s", got)
	}
}

type base func(*http.Request) (*http.Response, error)

func (f base) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAppTokenRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   bool
	}{
		{"Socrata's 403", 403, `{"code":"permission_denied","error":true,"message":"Invalid app_token specified"}`, true},
		{"without a code", 403, `{"error":true,"message":"Invalid app_token specified"}`, true},
		{"another 403", 403, `{"code":"permission_denied","error":true,"message":"no row or column access to non-tabular tables"}`, false},
		{"another status", 400, `{"message":"Invalid app_token specified"}`, false},
		{"no body", 403, "", false},
	} {
		err := classify.Check(respond(newRequest("GET", dataset), c.status, c.body))
		var e *classify.Error
		if !errors.As(err, &e) || e.AppTokenRefused() != c.want || strings.Contains(err.Error(), "token is not valid") != c.want {
			t.Errorf("%s: %v, want refused to be %v", c.name, err, c.want)
		}
	}
}

// TestRepeatedCredentials: what a server repeats is blanked in all its members.
func TestRepeatedCredentials(t *testing.T) {
	r := newRequest("GET", dataset)
	r.Header.Set("X-App-Token", "a token/+"+token)
	said := url.QueryEscape("a token/+" + token)
	err := classify.Check(respond(r, 403, `{"code":"no_`+said+`","message":"in `+said+`","data":{"query":"`+said+`"}}`))
	var e *classify.Error
	if !errors.As(err, &e) || string(e.Data) != `{"query":"***"}` || e.Code != "no_***" || e.Message != "in ***" {
		t.Errorf("got %q %q %s", e.Code, e.Message, e.Data)
	}
	r.Header.Set("X-App-Token", "12345678")
	if err := classify.Check(respond(r, 403, `{"data":12345678}`)); !errors.As(err, &e) || e.Data != nil {
		t.Errorf("data %s is left", e.Data)
	}
	if o := classify.Of(r, respond(nil, 403, `{"code":"no-12345678"}`), nil); o.Code != "no-***" {
		t.Errorf("Of gives the code %q", o.Code)
	}
}

// TestRedactErrorOfHardTexts: texts that a secret has come through, or nearly.
func TestRedactErrorOfHardTexts(t *testing.T) {
	const at = "https://x.gov/a.json?"
	for _, c := range []struct{ text, want string }{
		{at + "$where=age>5&k=" + token, at + "$where=***&k=***"},
		{at + "$where=age<5&k=" + token, at + "$where=***&k=***"},
		{at + "$select=`a`&k=" + token, at + "$select=***&k=***"},
		{at + `$where=a="b"&k=` + token, at + "$where=***&k=***"},
		{fmt.Sprintf("%q", at+`$where=a="b"&k=`+token), `"` + at + `$where=***&k=***"`},
		{at + "$where=a = 'b'&k=" + token, at + "$where=*** = ***&k=***"},
		{at + "a=1\x00k=" + token, "***"},
		{"https://x.gov/a%3F$$app_token=" + token, "https://x.gov/a***"},
		{"https://x.gov/a%253F$$app_token=" + token, "https://x.gov/a***"},
		{"https://x.gov/a;$$app_token=" + token, "https://x.gov/a***"},
		{"https://x.gov/a%23" + token, "https://x.gov/a***"},
		{"https://x.gov/a,https://me:" + token + "@b/", "https://x.gov/a,https***"},
		{"https://x.gov/a,https://me:" + token + "@b/?c=1", "https://x.gov/a,https***?c=***"},
		{"https://x.gov/api/imports2/ticket/" + token, "https://x.gov/api/imports2/ticket/***"},
		{"https://x.gov/ticket/" + token + "/log", "https://x.gov/ticket/***/log"},
		{"https://x.gov/ticket/a;" + token, "https://x.gov/ticket/***"},
		{"GET /api/imports2/ticket/" + token + " failed", "GET /api/imports2/ticket/*** failed"},
		{"/ticket/" + token + "?a=b", "/ticket/***?a=***"},
		{"//me:" + token + "@x.gov/a", "//***@x.gov/a"},
		{"//" + token + "@x.gov/a?b=c", "//***@x.gov/a?b=***"},
		{"proxy me:" + token + "@x.gov:80: refused", "proxy ***@x.gov:80: refused"},
		{"$$APP_TOKEN=" + token, "$$APP_TOKEN=***"},
		{"app_token%3D" + token, "***"},
		{"app_token%3d" + token, "***"},
		{"/a.json?" + token, "/a.json?***"},
		{"mail me@x.gov, v1@2, statusCode=500", "mail me@x.gov, v1@2, statusCode=500"},
		{`<https://x.gov/a> "https://x.gov/b" (really?)`, `<https://x.gov/a> "https://x.gov/b" (really?)`},
	} {
		if got := classify.RedactError(errors.New(c.text)).Error(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// TestRedactErrorFindsAURLThatIsKnown: an error within a *url.Error mostly
// repeats its URL, in one form or another.
func TestRedactErrorFindsAURLThatIsKnown(t *testing.T) {
	const raw = `https://me:pw@x.gov/a.json?$where=name = "Jane Doe"&k=` + token
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := url.QueryUnescape(u.RawQuery)
	for _, text := range []string{raw, fmt.Sprintf("%q", raw), u.String(), u.Redacted(), u.RequestURI(), u.RawQuery, plain, fmt.Sprintf("%q", plain)} {
		got := classify.RedactError(&url.Error{Op: "Get", URL: raw, Err: fmt.Errorf("asking %s: no", text)}).Error()
		if strings.Contains(got, token) || strings.Contains(got, "Jane") || strings.Contains(got, "Doe") || !strings.HasSuffix(got, ": no") {
			t.Errorf("%s became %s", text, got)
		}
	}
	// What every text has is not looked for in it.
	for at, want := range map[string]string{":": `a: b: parse "***": EOF`, "%": `a: b: parse "***": EOF`} {
		if got := classify.RedactError(fmt.Errorf("a: b: %w", &url.Error{Op: "parse", URL: at, Err: io.EOF})).Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestRepeatedCredentialsInOddForms: as servers read and write them.
func TestRepeatedCredentialsInOddForms(t *testing.T) {
	for _, c := range []struct{ name, at, header, body string }{
		{"up to a semicolon", "?a=1&$$app_token=s3cr3tabcdef;x", "", `{"message":"s3cr3tabcdef","data":"s3cr3tabcdef;x"}`},
		{"after a semicolon", "?a=1;$$app_token=s3cr3tabcdef", "", `{"message":"s3cr3tabcdef"}`},
		{"in upper case", "?$$APP_TOKEN=s3cr3tabcdef", "", `{"message":"s3cr3tabcdef"}`},
		{"a query in the path", "%3F$$app_token=s3cr3tabcdef", "", `{"message":"s3cr3tabcdef"}`},
		{"a ticket in the path", "/ticket/s3cr3tabcdef/log", "", `{"message":"s3cr3tabcdef"}`},
		{"a slash in JSON", "", "s3cr3t/abcdef", `{"data":{"q":"s3cr3t\/abcdef"}}`},
		{"an ampersand in JSON", "", "s3cr3t&abcdef", `{"data":{"n":1e400,"q":"s3cr3t\u0026abcdef"}}`},
		{"a letter in JSON", "", "s3cr3tabcdef", `{"data":{"q":"s3cr3t\u0061bcdef"}}`},
		{"%2f", "", "s3cr3t/abcdef", `{"message":"s3cr3t%2fabcdef"}`},
		{"%2F", "", "s3cr3t/a bcdef", `{"message":"s3cr3t%2Fa%20bcdef"}`},
		{"one in another", "?ticket=s3cr3tabcdef-and-more", "s3cr3tabcdef", `{"message":"s3cr3tabcdef-and-more"}`},
	} {
		r := newRequest("GET", "https://x.gov/a"+c.at)
		r.Header.Set("X-App-Token", c.header)
		var e *classify.Error
		if !errors.As(classify.Check(respond(r, 400, c.body)), &e) {
			t.Fatal("no error")
		}
		all := e.Message + " " + string(e.Data)
		if strings.Contains(all, "bcdef") || strings.Contains(all, "more") || !strings.Contains(all, "***") || strings.Contains(e.URL, "bcdef") {
			t.Errorf("%s: %s says %s", c.name, e.URL, all)
		}
	}
}

func FuzzRedactError(f *testing.F) {
	f.Add("https://x.gov/", "$limit=5&", "$$app_token", "&a=b")
	f.Add("/resource", "", "ticket", "'")
	f.Add("0", "", "0", "://")
	f.Add("https://x.gov:80/a?b=c:", ":", "(", ").")
	f.Fuzz(func(t *testing.T, at, before, name, after string) {
		if strings.ContainsAny(before+name, "\"`<> #") || strings.Contains(at+before+name+after, token) || len(before)+len(name) == 0 {
			return
		}
		for _, r := range before + name {
			if r <= ' ' || r >= 0x7f {
				return // no URL in a text goes on with it
			}
		}
		u := "https://x.gov/?" + before + name + "=" + token + after
		for _, err := range []error{
			&url.Error{Op: "Get", URL: u, Err: io.EOF},
			fmt.Errorf("%s: %w", at, &url.Error{Op: "Get", URL: u, Err: errors.New("at " + u)}),
			errors.New("asking " + u),
			errors.New("asking /a?" + before + name + "=" + token + after),
		} {
			if got := classify.RedactError(err).Error(); strings.Contains(got, token) {
				t.Errorf("%q shows the token", got)
			}
		}
	})
}
