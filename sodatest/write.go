package sodatest

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// hash makes an opaque name of things.
func hash(things ...any) string {
	sum := md5.Sum(fmt.Append(nil, things...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// readJSON decodes body, whose numbers stay as they are written. The answer is
// nil, or Socrata's 400, 413 or 415. A request without a Content-Type is let pass.
func readJSON(r *http.Request, body []byte, into any) *answer {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		switch t, _, err := mime.ParseMediaType(ct); {
		case err != nil:
			return errorAnswer(400, "req.content-type.unparsable", "The content-type was unparsable", `{"content-type":`+quoteJSON(ct)+`}`)
		case t != "application/json":
			return errorAnswer(415, "req.content-type.not-json", "The content-type set on the request ("+ct+") should instead be of type 'application/json'",
				`{"content-type":`+quoteJSON(ct)+`}`)
		}
	}
	body, bad := unpack(r, body)
	if bad != nil {
		return bad
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	err := dec.Decode(into)
	if err == nil {
		if _, end := dec.Token(); end == io.EOF {
			return nil
		}
		err = fmt.Errorf("more than one value")
	}
	return errorAnswer(400, "req.body.malformed-json", "The body of the request was not well-formed JSON: "+err.Error(), "")
}

// write upserts (POST) or replaces (PUT) rows.
func (d *dataset) write(r *http.Request, body []byte) *answer {
	rows, bad := d.readRows(r, body)
	if bad != nil { // all or nothing
		return bad
	}
	d.makeAll()
	d.begin()
	if r.Method == http.MethodPut {
		d.rows, d.byID = nil, map[string]int{}
	}
	var created, updated, deleted, failed int
	for _, values := range rows {
		switch remove, _ := values[":deleted"].(bool); {
		case remove && d.removeAny(values):
			deleted++
		case remove:
			failed++
		default:
			if _, isNew := d.put(values); isNew {
				created++
			} else {
				updated++
			}
		}
	}
	return d.written(fmt.Sprintf("{\n  \"Errors\" : %d,\n  \"Rows Created\" : %d,\n  \"Rows Updated\" : %d,\n  \"Rows Deleted\" : %d\n}\n",
		failed, created, updated, deleted))
}

// begin opens a write: a new version, at a new time.
func (d *dataset) begin() {
	d.version++
	d.modified = time.Now()
}

// removeAny deletes the row that values names.
func (d *dataset) removeAny(values map[string]any) bool {
	named := row{"id": normal(values["id"]), ":id": normal(values[":id"])}
	for _, key := range named.keys() {
		if d.remove(key) {
			return true
		}
	}
	return false
}

func (d *dataset) written(body string) *answer {
	return &answer{status: 200, body: []byte(body), header: http.Header{
		"Content-Type":          {jsonType},
		"X-Soda2-Truth-Version": {fmt.Sprint(d.version)},
	}}
}

// resourceRow answers /resource/{id}/{row}.json.
func (s *Server) resourceRow(r *http.Request, body []byte, id, name string) *answer {
	d, key := s.datasets[id], name
	if b, ext := cutExt(name); ext == "json" {
		key = b
	}
	if d == nil {
		return missing(id)
	}
	d.makeAll()
	i, found := d.find(key)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if found {
			t := &table{}
			d.project(t, field{name: "*"})
			return &answer{status: 200, header: http.Header{"Content-Type": {"application/json;charset=utf-8"}}, body: append(t.object(nil, d.rows[i]), '\n')}
		}
	case http.MethodDelete:
		if found {
			rid := d.rows[i][":id"]
			d.begin()
			d.remove(key)
			return d.written(`[{"typ":"delete","id":` + quoteJSON(rid) + "}]\n")
		}
	case http.MethodPut, http.MethodPost:
		return d.writeRow(r, body, key)
	default:
		return methodNotAllowed(r, "GET", "POST", "PUT", "DELETE")
	}
	return errorAnswer(404, "soda.row.not-found", "Row with identifier "+key+" was not found", `{"value":`+quoteJSON(key)+`}`)
}

// writeRow updates (POST) or replaces (PUT) the row called key, or creates it.
func (d *dataset) writeRow(r *http.Request, body []byte, key string) *answer {
	var values map[string]any
	if bad := readJSON(r, body, &values); bad != nil {
		return bad
	}
	if values == nil { // the body was null
		values = map[string]any{}
	}
	d.begin()
	if i, found := d.find(key); found {
		if r.Method == http.MethodPut {
			for _, c := range d.columns {
				if _, given := values[c.name]; !given && c.name != "id" {
					values[c.name] = nil
				}
			}
		}
		values[":id"] = d.rows[i][":id"]
		delete(values, "id")
	} else if values["id"] == nil {
		values["id"] = key
	}
	put, isNew := d.put(values)
	typ := "update"
	if isNew {
		typ = "insert"
	}
	return d.written(fmt.Sprintf("[{\"typ\":%q,\"id\":%s,\"ver\":%s}]\n", typ, quoteJSON(put[":id"]), quoteJSON(put[":version"])))
}
