package sodatest

import (
	"fmt"
	"strconv"
	"time"
)

// GenerateRows returns n rows, always the same ones, with an "id" (a number as
// Socrata sends it, from "1"), a name, a category, an amount, a bool, a timestamp
// and a point.
func GenerateRows(n int) []map[string]any {
	rows := make([]map[string]any, max(n, 0))
	for i := range rows {
		rows[i] = generateRow(i)
	}
	return rows
}

func generateRow(i int) map[string]any {
	categories := [...]string{"Noise", "Street Condition", "Water System", "Heat/Hot Water", "Trees"}
	day := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	return map[string]any{
		"id":       strconv.Itoa(i + 1),
		"name":     fmt.Sprintf("Row %d", i+1),
		"category": categories[i%len(categories)],
		"amount":   strconv.FormatFloat(float64(i*37%1000)/4, 'f', 2, 64),
		"open":     i%3 == 0,
		"created":  day.Add(time.Duration(i) * time.Hour).Format(timestampLayout),
		"location": map[string]any{"type": "Point", "coordinates": []any{float64(-7390-i%10) / 100, 40.7}},
	}
}

// Generated serves the rows of GenerateRows(n) as the data set id, and makes each
// when a page with it is asked for: a million rows cost nothing. That goes for
// SODA 2, with $limit, and $order absent or :id, and for a count of all rows.
// Any other question, and a write, makes and keeps them all.
func Generated(id string, n int) Option {
	return func(s *Server) {
		d := newDataset(id, s.start)
		if n > 0 {
			d.take(generateRow(0)) // for the columns
		}
		d.unmade = max(n, 0)
		s.datasets[id] = d
	}
}

// makeAll makes the rows that were put off.
func (d *dataset) makeAll() {
	n := d.unmade
	d.unmade = 0
	for i := range n {
		d.add(d.take(generateRow(i)))
	}
}

// canPutOff reports whether q can be answered without making all rows.
func (d *dataset) canPutOff(q *query) bool {
	ordered := len(q.order) == 0 || q.order[0] == ordering{column: ":id"}
	return d.unmade > 0 && len(q.where) == 0 && (q.counts() || ordered && q.limit >= 0)
}

// window makes the rows that q asks for, and forgets them.
func (d *dataset) window(q *query) []row {
	var rows []row
	from := min(q.offset, d.unmade)
	for i := from; i < from+min(q.limit, d.unmade-from); i++ {
		r := d.take(generateRow(i))
		d.stamp(r, i+1)
		rows = append(rows, r)
	}
	return rows
}

// stamp gives r, the n-th row made, the system columns that it lacks.
func (d *dataset) stamp(r row, n int) {
	if r[":id"] == nil {
		r[":id"] = rowID(n)
	}
	if r[":created_at"] == nil {
		r[":created_at"] = stamp(d.modified)
	}
	d.touch(r)
}
