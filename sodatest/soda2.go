package sodatest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// own is the server's own answer. s.mu is held.
func (s *Server) own(r *http.Request, body []byte) *answer {
	path := strings.Trim(r.URL.Path, "/")
	at := strings.Split(path, "/")
	under := func(dir string, n int) bool { return len(at) == n && strings.HasPrefix(path, dir+"/") }
	switch {
	case under("resource", 2):
		return s.resource(r, body, at[1])
	case under("resource", 3):
		return s.resourceRow(r, body, at[1], at[2])
	case under("api/v3/views", 5):
		return s.soda3(r, body, at[3], at[4])
	case under("api/views", 3):
		return s.view(r, at[2])
	case under("views", 2): // where old clients look
		return s.view(r, at[1])
	case under("api/views", 4) && base(at[3]) == "publication":
		return s.publication(r, body, at[2])
	case base(path) == "api/imports2":
		return s.imports(r)
	case path == "" || under("d", 2):
		a := &answer{status: 200, header: http.Header{}}
		a.verbatim("<html><head><title>Open Data</title></head><body></body></html>\n")
		return a
	}
	return notFound()
}

// notFound is the codeless 404 for a path that means nothing.
func notFound() *answer { return errorAnswer(404, "", "Not found", "") }

// missing is the 404 for a data set that is not there.
func missing(id string) *answer {
	return errorAnswer(404, "dataset.missing", "Not found", `{"id":`+quoteJSON(id)+`}`)
}

func methodNotAllowed(r *http.Request, allowed ...string) *answer {
	return errorAnswer(405, "method-not-allowed", "HTTP method "+r.Method+" is not allowed for this request",
		`{"method":`+quoteJSON(r.Method)+`,"allowed":`+quoteJSON(allowed)+`}`)
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// base takes the extension off name.
func base(name string) string {
	name, _ = cutExt(name)
	return name
}

// cutExt splits "abcd-1234.json" into "abcd-1234" and "json".
func cutExt(name string) (string, string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// format settles on json or csv, by extension or else by the Accept header. It
// returns "" if the client can have neither.
func format(r *http.Request, ext string) string {
	accept := r.Header.Get("Accept")
	has := func(types ...string) bool {
		return slices.ContainsFunc(types, func(t string) bool { return strings.Contains(accept, t) })
	}
	switch {
	case ext == "json" || ext == "csv":
		return ext
	case ext != "":
		return ""
	case has("text/csv"):
		return "csv"
	case accept == "" || has("json", "*/*", "application/*"):
		return "json"
	}
	return ""
}

// resource answers /resource/{id}, .json and .csv.
func (s *Server) resource(r *http.Request, body []byte, name string) *answer {
	id, ext := cutExt(name)
	d := s.datasets[id]
	switch {
	case d == nil:
		return missing(id)
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		return d.write(r, body)
	case !isRead(r):
		return methodNotAllowed(r, "GET", "POST", "PUT")
	}
	as := format(r, ext)
	if as == "" {
		return &answer{status: http.StatusNotAcceptable, header: http.Header{}}
	}
	q, bad := d.readArgs(r.URL.RawQuery)
	if bad != nil {
		return bad
	}
	t, bad := d.run(q)
	if bad != nil {
		return bad
	}
	a := &answer{status: 200, header: http.Header{
		"X-Soda2-Fields":                  {t.names()},
		"X-Soda2-Types":                   {t.types()},
		"X-Soda2-Data-Out-Of-Date":        {"false"},
		"X-Soda2-Truth-Last-Modified":     {d.lastModified()},
		"X-Soda2-Secondary-Last-Modified": {d.lastModified()},
		"Last-Modified":                   {d.lastModified()},
	}}
	if as == "csv" {
		a.header.Set("Content-Type", "text/csv; charset=UTF-8")
		a.body = t.csv()
	} else {
		a.header.Set("Content-Type", "application/json;charset=utf-8")
		a.body = t.json(false)
	}
	return a.conditional(r, d.etag(r.URL.RawQuery+as))
}

func (d *dataset) lastModified() string { return d.modified.UTC().Format(http.TimeFormat) }

// tolerated are the parameters that say how to answer, not what.
var tolerated = []string{"$$app_token", "$$query_timeout_seconds", "$$exclude_system_fields", "$$read_from_nbe", "$$version"}

// readArgs makes a query of the parameters of SODA 2. They are put together as one
// statement, as the real server does, and so errors quote that.
func (d *dataset) readArgs(raw string) (*query, *answer) {
	args, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errorAnswer(400, "query.compiler.malformed", "Could not parse the query string: "+err.Error(), `{"position":{}}`)
	}
	clauses := map[string]string{"$select": "*", "$where": "", "$order": "", "$limit": "1000", "$offset": ""}
	var unknown []string
	var filters []condition
	for name, values := range args {
		_, clause := clauses[name]
		_, isColumn := d.column(name)
		switch {
		case clause && args.Has("$query"):
			unknown = append(unknown, name) // the one or the other
		case clause:
			clauses[name] = values[0]
		case isColumn:
			filters = append(filters, condition{name, "=", 's', values[0]})
		case name != "$query" && !slices.Contains(tolerated, name):
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, errorAnswer(400, "", "Unrecognized arguments ["+strings.Join(unknown, ", ")+"]", "")
	}
	text := args.Get("$query")
	if text == "" {
		text = statement(clauses)
	}
	q, bad := parseQuery(text)
	if bad != nil {
		return nil, malformed(text, bad)
	}
	if q.limit < 0 {
		q.limit = 1000
	}
	q.where = append(q.where, filters...)
	return q, nil
}

// statement puts the clauses together.
func statement(clauses map[string]string) string {
	text := "select " + clauses["$select"]
	for _, c := range []struct{ name, words string }{
		{"$where", "where"}, {"$order", "order by"}, {"$limit", "limit"}, {"$offset", "offset"},
	} {
		if v := clauses[c.name]; v != "" {
			text += " " + c.words + " " + v
		}
	}
	return text
}

// etag names the state of what a GET returns. Its end is what Socrata's proxies
// put there.
func (d *dataset) etag(what string) string {
	return `"` + hash(d.id, d.version, what) + `---gzip--gzip--gzip"`
}

// conditional gives a its ETag, and makes it a 304 or a 412 if the client asks for
// that.
func (a *answer) conditional(r *http.Request, tag string) *answer {
	a.header.Set("ETag", tag)
	matches := func(field string) bool {
		for _, t := range strings.Split(r.Header.Get(field), ",") {
			if t = strings.TrimSpace(t); t == "*" || t == tag {
				return true
			}
		}
		return false
	}
	switch since, err := time.Parse(http.TimeFormat, r.Header.Get("If-Modified-Since")); {
	case r.Header.Get("If-Match") != "" && !matches("If-Match"):
		return errorAnswer(412, "precondition-failed", "Precondition failed", "")
	case matches("If-None-Match"),
		r.Header.Get("If-None-Match") == "" && err == nil && a.header.Get("Last-Modified") == since.UTC().Format(http.TimeFormat):
		return &answer{status: 304, header: http.Header{"Etag": {tag}}}
	}
	return a
}
