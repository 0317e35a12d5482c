package sodatest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timestampLayout is Socrata's floating_timestamp.
const timestampLayout = "2006-01-02T15:04:05.000"

// systemColumns are those that Socrata adds to every row, in its order.
var systemColumns = []column{
	{":id", "row_identifier"}, {":version", "row_version"},
	{":created_at", "fixed_timestamp"}, {":updated_at", "fixed_timestamp"},
}

// A column has a type as in X-SODA2-Types.
type column struct{ name, typ string }

// A row maps column names to values, each a string, a bool or a nested. It has no
// nulls: a missing column is null.
type row map[string]any

// A nested value is an object or a list. It is written out when it arrives, which
// also makes it independent of the user's.
type nested struct{ json, text, typ string }

// A dataset is a table with its rows in the order in which they came. It is
// guarded by Server.mu.
type dataset struct {
	id       string
	columns  []column
	rows     []row
	byID     map[string]int // position of the row with this identifier, or with this :id
	version  int            // counts the writes
	made     int            // rows made so far, for :id
	unmade   int            // rows of GenerateRows that are put off; while there are any, rows is empty
	created  time.Time
	modified time.Time
}

// Dataset serves rows as the data set id. Columns are those of the rows, sorted by
// name; their types follow from the values: numbers and strings that look like
// numbers, timestamps ("2006-01-02T15:04:05.000" or a time.Time), bools, points
// (GeoJSON), or else text. As Socrata does, numbers are sent as strings, and nulls
// not at all. The column "id", where there is one, is the row identifier. A row
// without an ":id" gets one. The rows are copied.
func Dataset(id string, rows []map[string]any) Option {
	return func(s *Server) {
		d := newDataset(id, s.start)
		for _, r := range rows {
			d.add(d.take(r))
		}
		s.datasets[id] = d
	}
}

func newDataset(id string, now time.Time) *dataset {
	return &dataset{id: id, byID: map[string]int{}, created: now, modified: now}
}

// find returns the position of the row that is called key, by its identifier or by
// its :id.
func (d *dataset) find(key string) (int, bool) {
	i, ok := d.byID[key]
	return i, ok
}

// keys returns what r can be called.
func (r row) keys() []string {
	var keys []string
	for _, name := range []string{"id", ":id"} {
		if k := r[name]; k != nil {
			keys = append(keys, text(k))
		}
	}
	return keys
}

// put creates the row, or updates the one with the same identifier. It reports
// whether it created one.
func (d *dataset) put(values map[string]any) (row, bool) {
	in := d.take(values)
	for _, key := range in.keys() {
		if i, ok := d.find(key); ok {
			r := d.rows[i]
			before := r.keys()
			in[":id"] = r[":id"] // it is for life
			maps.Copy(r, in)
			for name, v := range values {
				if v == nil && !strings.HasPrefix(name, ":") {
					delete(r, name) // null takes a value away
				}
			}
			d.touch(r)
			if !slices.Equal(before, r.keys()) {
				d.reindex()
			}
			return r, false
		}
	}
	return d.add(in), true
}

// take makes a row of values, which may bring new columns.
func (d *dataset) take(values map[string]any) row {
	in := make(row, len(values)+len(systemColumns))
	for name, v := range values {
		if v = normal(v); v != nil && name != "" {
			in[name] = v
		}
	}
	d.learn(in)
	return in
}

// add appends the row, even if its identifier is there already.
func (d *dataset) add(in row) row {
	d.made++
	d.stamp(in, d.made)
	d.rows = append(d.rows, in)
	d.index(len(d.rows) - 1)
	return in
}

func (d *dataset) touch(r row) {
	r[":updated_at"] = stamp(d.modified)
	r[":version"] = fmt.Sprintf("rv-%04d~%04d", d.version/10000, d.version%10000)
}

// index makes row i known by its names.
func (d *dataset) index(i int) {
	for _, key := range d.rows[i].keys() {
		d.byID[key] = i
	}
}

// remove deletes the row that is called key.
func (d *dataset) remove(key string) bool {
	i, ok := d.find(key)
	if !ok {
		return false
	}
	d.rows = slices.Delete(d.rows, i, i+1)
	d.reindex()
	return true
}

// reindex makes all rows known by their names, and by those only.
func (d *dataset) reindex() {
	clear(d.byID)
	for i := range d.rows {
		d.index(i)
	}
}

// learn adds the columns that are new in r, and widens the type of those whose
// values it does not share.
func (d *dataset) learn(r row) {
	for name, v := range r {
		if strings.HasPrefix(name, ":") {
			continue
		}
		i, ok := slices.BinarySearchFunc(d.columns, name, func(c column, name string) int { return strings.Compare(c.name, name) })
		switch {
		case !ok:
			d.columns = slices.Insert(d.columns, i, column{name, typeOf(v)})
		case d.columns[i].typ != "text" && d.columns[i].typ != typeOf(v):
			d.columns[i].typ = "text"
		}
	}
}

// column returns the column of that name, system columns included.
func (d *dataset) column(name string) (column, bool) {
	for _, columns := range [][]column{d.columns, systemColumns} {
		for _, c := range columns {
			if c.name == name {
				return c, true
			}
		}
	}
	return column{}, false
}

// rowID makes the n-th :id, in the order of strings.
func rowID(n int) string { return "row-" + numbered("2222~2222~2222", n) }

// numbered adds n to zero, a number in the digits of Socrata's names.
func numbered(zero string, n int) string {
	const digits = "23456789abcdefghijkmnpqrstuvwxyz"
	b := []byte(zero)
	for i := len(b) - 1; n > 0 && i >= 0; i-- {
		if b[i] == digits[0] {
			b[i] = digits[n%len(digits)]
			n /= len(digits)
		}
	}
	return string(b)
}

// stamp writes t as a fixed_timestamp.
func stamp(t time.Time) string { return t.UTC().Format(timestampLayout) + "Z" }

// normal returns v as a row holds it.
func normal(v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		return v.Format(timestampLayout)
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32:
		return fmt.Sprint(v)
	case nested:
		return v
	}
	written := quoteJSON(v)
	n := nested{written, written, "text"}
	var point struct {
		Type        string
		Coordinates []json.Number
	}
	if json.Unmarshal([]byte(written), &point) == nil && point.Type == "Point" && len(point.Coordinates) == 2 {
		n.text, n.typ = fmt.Sprintf("POINT (%v %v)", point.Coordinates[0], point.Coordinates[1]), "point"
	}
	return n
}

// isNumber tells whether s is a decimal number.
func isNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && !strings.ContainsAny(s, "xXn_N") // nor hexadecimal, nor -Inf
}

// typeOf guesses the type of a column from one of its values.
func typeOf(v any) string {
	switch v := v.(type) {
	case bool:
		return "checkbox"
	case nested:
		return v.typ
	case string:
		if isNumber(v) {
			return "number"
		}
		if len(v) == len(timestampLayout) { // parsing is slow
			if _, err := time.Parse(timestampLayout, v); err == nil {
				return "floating_timestamp"
			}
		}
	}
	return "text"
}

// text writes a value as in CSV: null as nothing, points as WKT.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case nested:
		return v.text
	}
	return ""
}
