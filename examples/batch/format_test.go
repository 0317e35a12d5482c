package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCopyRows(t *testing.T) {
	for _, tt := range []struct {
		format, in string
		rows       int
		out        string
		err        string
	}{
		{"jsonl", "[]\n", 0, "", ""},
		{"jsonl", "[{\"a\":\"x\"}\n,{\"a\": \"y\\nz\"}]\n", 2, "{\"a\":\"x\"}\n{\"a\":\"y\\nz\"}\n", ""},
		{"jsonl", `[{"n":1.0,"b":12345678901234567890}]`, 1, "{\"n\":1.0,\"b\":12345678901234567890}\n", ""},
		{"jsonl", `[{"a":1},{"a":2}`, 2, "{\"a\":1}\n{\"a\":2}\n", "EOF"},
		{"jsonl", `[{"a":1},{"a":`, 1, "{\"a\":1}\n", "EOF"},
		{"jsonl", `[{"a":1}][]`, 1, "{\"a\":1}\n", "there is more"},
		{"jsonl", `{"error":true}`, 0, "", "no JSON array"},
		{"jsonl", "<html>", 0, "", "no JSON array"},
		{"csv", "\"a\",\"b\"\n\"1\",\n\"2\",\"\"\n", 2, "\"a\",\"b\"\n\"1\",\n\"2\",\"\"\n", ""},
		{"csv", "\"a\"\n\"two\nlines\"\n", 1, "\"a\"\n\"two\nlines\"\n", ""},
		{"csv", "\"a\"\n\"a \"\"quoted\n\"\" break\"\n\"x\"\n", 2, "\"a\"\n\"a \"\"quoted\n\"\" break\"\n\"x\"\n", ""},
		{"csv", "a\r\n1\r\n2\r\n", 2, "a\r\n1\r\n2\r\n", ""},
		{"csv", "a\n1\n2", 2, "a\n1\n2\n", ""},
		{"csv", "a\n", 0, "a\n", ""},
	} {
		var out bytes.Buffer
		rows, _, err := copyRows(tt.format, &out, iotest.OneByteReader(strings.NewReader(tt.in)))
		if rows != tt.rows || out.String() != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s %q: %d rows, %q, %v", tt.format, tt.in, rows, &out, err)
		}
	}
}

// An error that comes with the end is an error.
func TestCopyRowsReadsToTheEnd(t *testing.T) {
	for format, in := range map[string]string{"jsonl": "[{}]", "csv": "a\n1\n"} {
		body := io.MultiReader(strings.NewReader(in), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, _, err := copyRows(format, io.Discard, body); err == nil {
			t.Errorf("%s: no error", format)
		}
	}
}

func TestCutHeader(t *testing.T) {
	page := bufio.NewReader(strings.NewReader("\"a\nb\",\"c\"\n1,2\n"))
	header, err := cutHeader(page)
	rest, _ := io.ReadAll(page)
	if err != nil || string(header) != "\"a\nb\",\"c\"\n" || string(rest) != "1,2\n" {
		t.Errorf("%q, %q, %v", header, rest, err)
	}
}

// A header without an end does not fill the memory.
func TestEndlessHeader(t *testing.T) {
	endless := strings.NewReader(strings.Repeat("a,", maxHeader))
	if _, _, err := copyRows("csv", io.Discard, endless); err == nil || !strings.Contains(err.Error(), "the header of the CSV: it does not end") || endless.Len() == 0 {
		t.Errorf("%v, and %d bytes are left", err, endless.Len())
	}
}
