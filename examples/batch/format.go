package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// copyRows copies a page from r to w, reads r to its end, and counts the rows. Of
// a CSV it returns the header, too.
func copyRows(format string, w io.Writer, r io.Reader) (rows int, header []byte, err error) {
	if format == "csv" {
		return copyCSV(w, r)
	}
	rows, err = copyLines(w, r)
	return rows, nil, err
}

// copyCSV copies a CSV.
func copyCSV(w io.Writer, r io.Reader) (rows int, header []byte, err error) {
	in := bufio.NewReader(r)
	header, err = cutHeader(in)
	if err == io.EOF && len(header) > 0 {
		header, err = append(header, '\n'), nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("the header of the CSV: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return 0, nil, err
	}
	var c csvCounter
	_, err = io.Copy(io.MultiWriter(w, &c), in)
	if err == nil && c.open { // so that another page can follow
		_, err = io.MultiWriter(w, &c).Write([]byte("\n"))
	}
	return c.records, header, err
}

// copyLines makes a line of each object of a JSON array.
func copyLines(w io.Writer, r io.Reader) (rows int, err error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return 0, errors.Join(errors.New("the answer is no JSON array"), err)
	}
	var raw json.RawMessage
	var line bytes.Buffer
	for ; dec.More(); rows++ {
		if err := dec.Decode(&raw); err != nil {
			return rows, fmt.Errorf("row %d of the page: %w", rows, err)
		}
		line.Reset()
		if err := json.Compact(&line, raw); err != nil {
			return rows, err
		}
		line.WriteByte('\n')
		if _, err := w.Write(line.Bytes()); err != nil {
			return rows, err
		}
	}
	if _, err := dec.Token(); err != nil { // the bracket
		return rows, err
	}
	if _, err := dec.Token(); err != io.EOF { // the end, which Resume has to see
		return rows, errors.Join(errors.New("there is more after the JSON array"), err)
	}
	return rows, nil
}

// A csvCounter counts the records that are written to it: lines, but for line
// breaks in quotes. What it counts is copied as it came, since a null and an
// empty text differ in their quotes only.
type csvCounter struct {
	records int
	quoted  bool
	open    bool // the last record has no line break yet
}

func (c *csvCounter) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case b == '"':
			c.quoted = !c.quoted
			c.open = true
		case b == '\n' && !c.quoted:
			c.records++
			c.open = false
		default:
			c.open = true
		}
	}
	return len(p), nil
}

// maxHeader is far more than the names of all columns that a data set may have.
const maxHeader = 1 << 20

// cutHeader takes the header off a page of CSV.
func cutHeader(r *bufio.Reader) (header []byte, err error) {
	var c csvCounter
	for c.records == 0 {
		piece, err := r.ReadSlice('\n')
		header = append(header, piece...)
		c.Write(piece)
		switch {
		case len(header) > maxHeader:
			return nil, errors.New("it does not end")
		case err != nil && err != bufio.ErrBufferFull:
			return header, err
		}
	}
	return header, nil
}

// A lineCounter counts the lines that are written to it.
type lineCounter int

func (c *lineCounter) Write(p []byte) (int, error) {
	*c += lineCounter(bytes.Count(p, []byte("\n")))
	return len(p), nil
}
