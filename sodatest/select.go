package sodatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A table is what a query selects.
type table struct {
	columns []column // their names are those in the answer
	source  []string // where each comes from
	rows    []row
}

// run carries q out. The answer is nil, or a 400.
func (d *dataset) run(q *query) (*table, *answer) {
	if a := d.check(q); a != nil {
		return nil, a
	}
	t, fields := &table{}, q.fields
	switch putOff := d.canPutOff(q); {
	case q.counts():
		n := d.unmade
		if !putOff {
			n = len(d.matches(q))
		}
		name := q.fields[0].alias
		t.rows, fields = q.cut([]row{{name: strconv.Itoa(n)}}), []field{{name: name}}
	case putOff:
		t.rows = d.window(q)
	default:
		t.rows = d.matches(q)
		slices.SortStableFunc(t.rows, func(a, b row) int { return d.compareRows(q.order, a, b) })
		t.rows = q.cut(t.rows)
	}
	for _, f := range fields {
		d.project(t, f)
	}
	return t, nil
}

// counts reports whether q asks for count(*).
func (q *query) counts() bool { return q.fields[0].name == "count(*)" }

// matches returns the rows that q is about, in the order in which they came.
func (d *dataset) matches(q *query) []row {
	d.makeAll()
	var rows []row
	for _, r := range d.rows {
		if !slices.ContainsFunc(q.where, func(c condition) bool { return !d.holds(c, r) }) {
			rows = append(rows, r)
		}
	}
	return rows
}

// cut returns what q's OFFSET and LIMIT leave of rows.
func (q *query) cut(rows []row) []row {
	rows = rows[min(q.offset, len(rows)):]
	if q.limit >= 0 {
		rows = rows[:min(q.limit, len(rows))]
	}
	return rows
}

// project adds the columns that f selects.
func (d *dataset) project(t *table, f field) {
	columns := []column{{f.name, "number"}} // an alias of count(*)
	switch f.name {
	case "*":
		columns = d.columns
	case ":*":
		columns = systemColumns
	default:
		if c, ok := d.column(f.name); ok {
			columns = []column{c}
		}
	}
	for _, c := range columns {
		t.source = append(t.source, c.name)
		t.columns = append(t.columns, column{or(f.alias, c.name), c.typ})
	}
}

// check looks for columns that are not there, and comparisons that cannot be.
func (d *dataset) check(q *query) *answer {
	names := []string{}
	for _, f := range q.fields {
		switch f.name {
		case "*", ":*":
		case "count(*)":
			if len(q.fields) > 1 {
				return d.queryError("column-not-in-group-bys", "Column is not in group by", q.fields[0].name, q.text)
			}
		default:
			names = append(names, f.name)
		}
	}
	for _, c := range q.where {
		names = append(names, c.column)
		if c.kind == 'w' || c.kind == 'q' {
			names = append(names, c.value)
		}
	}
	for _, o := range q.order {
		names = append(names, o.column)
	}
	for _, name := range names {
		if _, ok := d.column(name); !ok {
			return d.queryError("no-such-column", "No such column: "+name, name, q.text)
		}
	}
	for _, c := range q.where {
		typ, _ := d.column(c.column)
		if kind := mismatch(typ.typ, c); kind != "" {
			return d.queryError("type-mismatch", "Type mismatch for op$"+c.op+", is "+kind, c.column, q.text)
		}
	}
	return nil
}

// mismatch returns the type of the literal that cannot be compared with a column
// of type typ, or "".
func mismatch(typ string, c condition) string {
	switch {
	case typ == "number" && c.kind == 's' && !isNumber(c.value):
		return "text"
	case typ != "number" && c.kind == 'n':
		return "number"
	case typ != "checkbox" && c.kind == 'b':
		return "boolean"
	}
	return ""
}

// queryError is a 400 of the query coordinator, which says everything twice.
func (d *dataset) queryError(code, message, name, text string) *answer {
	at := max(strings.Index(text, name), 0)
	line := text + "\n" + strings.Repeat(" ", at) + "^"
	position := fmt.Sprintf(`{"row":1,"column":%d,"line":%s}`, at+1, quoteJSON(line))
	data := fmt.Sprintf(`{"column":%s,"dataset":%s,"position":%s}`, quoteJSON(name), quoteJSON("hotel."+d.id), position)
	return errorAnswer(400, "query.soql."+code, fmt.Sprintf("Query coordinator error: query.soql.%s; %s; position: Map(row -> 1, column -> %d, line -> %s)",
		code, message, at+1, quoteJSON(line)), data)
}

// holds tells whether r meets c. A null meets nothing.
func (d *dataset) holds(c condition, r row) bool {
	var operand any = c.value
	if c.kind == 'w' || c.kind == 'q' {
		operand = r[c.value]
	}
	if r[c.column] == nil || operand == nil {
		return false
	}
	column, _ := d.column(c.column)
	n := compare(column.typ, r[c.column], operand)
	switch c.op {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case ">":
		return n > 0
	case ">=":
		return n >= 0
	case "!=", "<>":
		return n != 0
	}
	return n == 0
}

func (d *dataset) compareRows(order []ordering, a, b row) int {
	for _, o := range order {
		c, _ := d.column(o.column)
		n := compare(c.typ, a[o.column], b[o.column])
		if o.desc {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

// compare orders two values of a column; nulls come last.
func compare(typ string, a, b any) int {
	switch {
	case a == nil || b == nil:
		return boolToInt(a == nil) - boolToInt(b == nil)
	case typ == "number":
		x, _ := strconv.ParseFloat(text(a), 64)
		y, _ := strconv.ParseFloat(text(b), 64)
		return boolToInt(x > y) - boolToInt(x < y)
	}
	return strings.Compare(text(a), text(b))
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// json writes the table as SODA 2 does, or, with lines, as SODA 3.
func (t *table) json(lines bool) []byte {
	b := []byte("[")
	if lines {
		b = append(b, '\n')
	}
	for i, r := range t.rows {
		if i > 0 {
			b = append(b, "\n,"...)
		}
		b = t.object(b, r)
	}
	if lines && len(t.rows) > 0 {
		b = append(b, '\n')
	}
	return append(b, "]\n"...)
}

// object appends a row in JSON; nulls are left out.
func (t *table) object(b []byte, r row) []byte {
	b = append(b, '{')
	first := len(b)
	for i, c := range t.columns {
		v := r[t.source[i]]
		if v == nil {
			continue
		}
		if len(b) > first {
			b = append(b, ',')
		}
		b = appendJSON(append(appendJSON(b, c.name), ':'), v)
	}
	return append(b, '}')
}

// csv writes the table with everything in quotes, but nulls.
func (t *table) csv() []byte {
	var b []byte
	cell := func(i int, s string, null bool) {
		if i > 0 {
			b = append(b, ',')
		}
		if !null {
			b = append(append(append(b, '"'), strings.ReplaceAll(s, `"`, `""`)...), '"')
		}
	}
	for i, c := range t.columns {
		cell(i, c.name, false)
	}
	b = append(b, '\n')
	for _, r := range t.rows {
		for i := range t.columns {
			v := r[t.source[i]]
			cell(i, text(v), v == nil)
		}
		b = append(b, '\n')
	}
	return b
}

// names and types are the X-SODA2-Fields and X-SODA2-Types headers.
func (t *table) names() string {
	names := []string{}
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return quoteJSON(names)
}

func (t *table) types() string {
	types := []string{}
	for _, c := range t.columns {
		types = append(types, c.typ)
	}
	return quoteJSON(types)
}
