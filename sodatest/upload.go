package sodatest

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxUpload is the most that a compressed body may come to, Socrata's own limit.
const maxUpload = 50 << 20

// unpack takes the Content-Encoding off a body. The answer is nil, or a 400, 413
// or 415.
func unpack(r *http.Request, body []byte) ([]byte, *answer) {
	coding := r.Header.Get("Content-Encoding")
	switch strings.ToLower(coding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
	default:
		return nil, errorAnswer(415, "", "Content-Encoding "+coding+" is not supported", "")
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(z, maxUpload+1))
	}
	switch {
	case err != nil:
		return nil, invalidRequest(err)
	case len(body) > maxUpload:
		return nil, Fault("req.body.too-large").answer("")
	}
	return body, nil
}

func invalidRequest(err error) *answer {
	return errorAnswer(400, "invalid_request", codes["invalid_request"].message+" "+err.Error(), "")
}

// readRows returns the rows of an upsert: an object or a list of them in JSON, or
// lines of text/csv under a header line.
func (d *dataset) readRows(r *http.Request, body []byte) ([]map[string]any, *answer) {
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t == "text/csv" {
		return d.readCSV(r, body)
	}
	var in any
	if bad := readJSON(r, body, &in); bad != nil {
		return nil, bad
	}
	list, ok := in.([]any)
	if !ok {
		list = []any{in}
	}
	rows := make([]map[string]any, len(list))
	for i, v := range list {
		if rows[i], ok = v.(map[string]any); !ok {
			return nil, errorAnswer(400, "soda.row.upsert-row-not-an-object", "Row "+quoteJSON(v)+" is not an object", `{"value":`+quoteJSON(v)+`}`)
		}
	}
	return rows, nil
}

func (d *dataset) readCSV(r *http.Request, body []byte) ([]map[string]any, *answer) {
	body, bad := unpack(r, body)
	if bad != nil {
		return nil, bad
	}
	lines := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	header, err := lines.Read()
	if err != nil {
		return nil, invalidRequest(err)
	}
	all, err := lines.ReadAll()
	if err != nil {
		return nil, invalidRequest(err)
	}
	rows := make([]map[string]any, len(all))
	for i, line := range all {
		rows[i] = make(map[string]any, len(header))
		for j, name := range header {
			rows[i][name] = d.cell(name, line[j])
		}
	}
	return rows, nil
}

// cell reads a value of CSV, by the type of its column if that is known. Nothing
// is a null.
func (d *dataset) cell(name, s string) any {
	c, _ := d.column(name)
	switch {
	case s == "":
		return nil
	case name == ":deleted", c.typ == "checkbox":
		if strings.EqualFold(s, "true") || strings.EqualFold(s, "false") {
			return strings.EqualFold(s, "true")
		}
	case c.typ == "point":
		at := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(s, "POINT ("), ")"))
		if len(at) == 2 && isNumber(at[0]) && isNumber(at[1]) {
			return map[string]any{"type": "Point", "coordinates": []any{json.Number(at[0]), json.Number(at[1])}}
		}
	}
	return s
}
