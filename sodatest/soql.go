package sodatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A query is a SoQL SELECT, as far as this server understands it.
type query struct {
	text   string
	fields []field
	where  []condition // all must hold
	order  []ordering
	limit  int // -1 if there is none
	offset int
}

// A field is a column, "*" (all columns), ":*" (system columns), or "count(*)".
type field struct{ name, alias string }

type ordering struct {
	column string
	desc   bool
}

// A condition compares a column with a literal, or with another column.
type condition struct {
	column string
	op     string
	kind   byte // of the operand: a token's kind, or 'n', 's', 'b' for a literal
	value  string
}

// A token is a word, a quoted `name`, a 'string', a number, a sign, or the end.
type token struct {
	kind byte // 'w', 'q', 's', 'n', or the sign itself, '=' for all comparisons; 0 at the end
	text string
	pos  int
}

// A syntaxError says where a query stops making sense.
type syntaxError struct {
	pos  int
	want string
	got  string
}

// A parser panics with a syntaxError, which parseQuery recovers: that keeps the
// grammar readable.
type parser struct {
	text  string
	pos   int
	tok   token
	depth int // of parentheses
}

// parseQuery parses a SELECT statement.
func parseQuery(text string) (q *query, bad *syntaxError) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			q, bad = nil, &e
		}
	}()
	p := &parser{text: text}
	p.next()
	q = &query{text: text, limit: -1}
	p.keyword("select")
	p.list(func() { q.fields = append(q.fields, p.field()) })
	if p.accept("where") {
		p.conditions(q)
	}
	if p.accept("order") {
		p.keyword("by")
		p.list(func() { q.order = append(q.order, p.ordering()) })
	}
	if p.accept("limit") {
		q.limit = p.count()
	}
	if p.accept("offset") {
		q.offset = p.count()
	}
	if p.tok.kind != 0 {
		p.fail("end of input")
	}
	return q, nil
}

func (p *parser) fail(want string) { panic(syntaxError{p.tok.pos, want, p.tok.text}) }

// accept takes the keyword if it is next.
func (p *parser) accept(word string) bool {
	if p.tok.kind == 'w' && strings.EqualFold(p.tok.text, word) {
		p.next()
		return true
	}
	return false
}

func (p *parser) keyword(word string) {
	if !p.accept(word) {
		p.fail("`" + strings.ToUpper(word) + "'")
	}
}

// sign takes a sign if it is next.
func (p *parser) sign(kind byte) bool {
	if p.tok.kind == kind {
		p.next()
		return true
	}
	return false
}

func (p *parser) list(item func()) {
	for item(); p.sign(','); {
		item()
	}
}

var reserved = []string{"select", "where", "order", "by", "limit", "offset", "and", "as", "asc", "desc", "group", "having", "search"}

// name takes a column's name.
func (p *parser) name() string {
	t := p.tok
	if t.kind != 'q' && (t.kind != 'w' || slices.Contains(reserved, strings.ToLower(t.text))) {
		p.fail("an expression")
	}
	p.next()
	return t.text
}

func (p *parser) field() field {
	var f field
	if p.sign('*') {
		return field{name: "*"}
	}
	if f.name = p.name(); strings.EqualFold(f.name, "count") && p.sign('(') {
		if !p.sign('*') || !p.sign(')') {
			p.fail("`*)'")
		}
		f.name, f.alias = "count(*)", "count"
	}
	if p.accept("as") {
		f.alias = p.name()
	}
	return f
}

func (p *parser) conditions(q *query) {
	for {
		if p.sign('(') {
			if p.depth++; p.depth > 100 { // a stack is not endless
				p.fail("fewer parentheses")
			}
			p.conditions(q)
			if !p.sign(')') {
				p.fail("`)'")
			}
			p.depth--
		} else {
			q.where = append(q.where, p.condition())
		}
		if !p.accept("and") {
			return
		}
	}
}

func (p *parser) condition() condition {
	c := condition{column: p.name(), op: p.tok.text}
	if !p.sign('=') {
		p.fail("a comparison")
	}
	switch c.kind, c.value = p.tok.kind, p.tok.text; {
	case c.kind == 'n' || c.kind == 's':
		p.next()
	case p.accept("true"), p.accept("false"):
		c.kind = 'b'
	default:
		c.value = p.name()
	}
	return c
}

func (p *parser) ordering() ordering {
	o := ordering{column: p.name()}
	if !p.accept("asc") {
		o.desc = p.accept("desc")
	}
	return o
}

func (p *parser) count() int {
	n, err := strconv.Atoi(p.tok.text)
	if p.tok.kind != 'n' || err != nil || n < 0 {
		p.fail("an integer")
	}
	p.next()
	return n
}

func isWord(c byte) bool {
	return c == '_' || c == ':' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// next reads the next token.
func (p *parser) next() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.tok = token{pos: p.pos + 1, text: "end of input"}
	if p.pos == len(p.text) {
		return
	}
	rest := p.text[p.pos:]
	switch c := rest[0]; {
	case c == '\'':
		p.quoted(rest, 's')
	case c == '`':
		p.quoted(rest, 'q')
	case strings.HasPrefix(rest, ":*"):
		p.take('q', 2)
	case c == '-' || c >= '0' && c <= '9':
		n := 1
		for n < len(rest) && (isWord(rest[n]) || rest[n] == '.') {
			n++
		}
		p.take('n', n)
		if !isNumber(p.tok.text) {
			p.fail("a number")
		}
	case isWord(c):
		n := 1
		for n < len(rest) && isWord(rest[n]) {
			n++
		}
		p.take('w', n)
	case strings.IndexByte("=!<>", c) >= 0:
		n := 1
		if len(rest) > 1 && strings.IndexByte("=>", rest[1]) >= 0 {
			n++
		}
		p.take('=', n)
	default:
		p.take(c, 1)
	}
}

// take makes the next n bytes the token.
func (p *parser) take(kind byte, n int) {
	p.tok.kind, p.tok.text = kind, p.text[p.pos:p.pos+n]
	p.pos += n
}

// quoted reads a string; a quote in it is doubled.
func (p *parser) quoted(rest string, kind byte) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		if rest[i] == rest[0] {
			if i+1 == len(rest) || rest[i+1] != rest[0] {
				p.take(kind, i+1)
				p.tok.text = b.String()
				return
			}
			i++
		}
		b.WriteByte(rest[i])
	}
	p.fail("an end of the " + string(rest[:1]) + " quote")
}

// malformed is the 400 for a query that is no SoQL.
func malformed(text string, e *syntaxError) *answer {
	data := fmt.Sprintf(`{"query":%s,"position":{}}`, quoteJSON(text))
	return errorAnswer(400, "query.compiler.malformed", fmt.Sprintf("Could not parse SoQL query %q at line 1 character %d: Expected %s, but got `%s'",
		text, e.pos, e.want, e.got), data)
}
