package sodatest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// request3 is the body of a SODA 3 request, as far as this server reads it.
type request3 struct {
	Query            *string `json:"query"`
	Page             *page3  `json:"page"`
	IncludeSynthetic bool    `json:"includeSynthetic"`
}

// page3 is a page, counted from 1.
type page3 struct {
	PageNumber *int `json:"pageNumber"` // nil means 1
	PageSize   *int `json:"pageSize"`   // nil means 1000
}

// soda3 answers /api/v3/views/{id}/query.json and its like.
func (s *Server) soda3(r *http.Request, body []byte, id, name string) *answer {
	what, ext := cutExt(name)
	d, as := s.datasets[id], format(r, ext)
	switch {
	case what != "query" && what != "export":
		return notFound()
	case d == nil:
		return missing(id)
	case as == "":
		return &answer{status: http.StatusNotAcceptable, header: http.Header{}}
	case !isRead(r) && r.Method != http.MethodPost:
		return methodNotAllowed(r, "GET", "POST")
	}
	var in request3
	var bad *answer
	if isRead(r) {
		in, bad = args3(r.URL.RawQuery)
	} else {
		bad = readJSON(r, body, &in)
	}
	if bad != nil {
		return bad
	}
	t, bad := d.run3(in, what == "export")
	if bad != nil {
		return bad
	}
	a := &answer{status: 200, header: http.Header{
		"Content-Type":             {jsonType},
		"Last-Modified":            {d.lastModified()},
		"X-Soda2-Secondary":        {"pg.pg15-a-fedramp-prod"},
		"X-Soda2-Cached":           {"false"},
		"X-Soda2-Data-Out-Of-Date": {"[]"},
		"X-Soda2-Warning":          {"X-SODA2-Fields, X-SODA2-Types, and X-SODA2-Legacy-Types are deprecated"},
		"X-Soda2-Fields":           {t.names()},
		"X-Soda2-Types":            {t.types()},
		"Etag":                     {`W/"` + hash(d.id, d.version, string(body), r.URL.RawQuery) + `"`},
	}}
	if as == "csv" {
		a.header.Set("Content-Type", "text/csv; charset=utf-8")
		a.body = t.csv()
	} else {
		a.body = t.json(true)
	}
	if isRead(r) {
		return a.conditional(r, a.header.Get("ETag"))
	}
	return a
}

// args3 reads a GET, which has in its parameters what a POST has in its body.
func args3(raw string) (in request3, bad *answer) {
	args, err := url.ParseQuery(raw)
	if err != nil {
		return in, errorAnswer(400, "req.bad-parameter", "Could not parse the query string: "+err.Error(), "")
	}
	if args.Has("query") {
		text := args.Get("query")
		in.Query = &text
	}
	in.IncludeSynthetic = args.Get("includeSynthetic") == "true"
	var page page3
	for name, field := range map[string]**int{"pageNumber": &page.PageNumber, "pageSize": &page.PageSize} {
		if args.Has(name) {
			n, err := strconv.Atoi(args.Get(name))
			if err != nil {
				return in, badPage(name)
			}
			*field, in.Page = &n, &page
		}
	}
	return in, nil
}

func badPage(name string) *answer {
	return errorAnswer(400, "req.bad-parameter", "Bad value for "+name, `{"parameter":`+quoteJSON(name)+`}`)
}

// run3 carries out the query, and takes its page out of the result. A query that
// names neither page nor LIMIT has 1000 rows; an export has all.
func (d *dataset) run3(in request3, export bool) (*table, *answer) {
	text := "SELECT *"
	if in.Query != nil {
		text = *in.Query
	}
	q, syntax := parseQuery(text)
	if syntax != nil {
		return nil, malformed(text, syntax)
	}
	if in.IncludeSynthetic && q.fields[0].name == "*" {
		q.fields = append([]field{{name: ":*"}}, q.fields...)
	}
	t, bad := d.run(q)
	switch {
	case bad != nil && strings.Contains(string(bad.body), "no-such-column"):
		// SODA 3 has a new analyzer, with codes of its own.
		return nil, errorAnswer(400, "soql.analyzer.typechecker.no-such-column", "No such column", `{"query":`+quoteJSON(text)+`}`)
	case bad != nil:
		return nil, bad
	}
	page := page3{}
	switch {
	case in.Page != nil:
		page = *in.Page
	case export || q.limit >= 0:
		return t, nil
	}
	return t, t.cut(page)
}

// cut leaves one page of the rows. The answer is nil, or a 400.
func (t *table) cut(page page3) *answer {
	number, size := 1, 1000
	if page.PageNumber != nil {
		number = *page.PageNumber
	}
	if page.PageSize != nil {
		size = *page.PageSize
	}
	switch {
	case number < 1:
		return badPage("pageNumber")
	case size < 1:
		return badPage("pageSize")
	case number-1 > len(t.rows)/size: // beyond the end; the product could overflow
		t.rows = nil
		return nil
	}
	t.rows = t.rows[(number-1)*size:]
	t.rows = t.rows[:min(size, len(t.rows))]
	return nil
}
