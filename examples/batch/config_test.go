package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		err  string // empty if they are right
	}{
		{"-domain data.cityofnewyork.us -dataset uczf-rk3c", ""},
		{"-domain https://data.cityofnewyork.us/ -dataset uczf-rk3c -format csv -page 5 -workers 2 -rps 0.5", ""},
		{"-domain http://127.0.0.1:80 -dataset uczf-rk3c -token secret", ""},
		{"-domain http://[::1]:80 -dataset uczf-rk3c -token secret", ""},
		{"-domain http://data.example -dataset uczf-rk3c", ""},
		{"-domain http://data.example -dataset uczf-rk3c -token secret", "plain http"},
		{"-domain data.example", "-dataset wants"},
		{"-domain data.example -dataset ../x", "-dataset wants"},
		{"-domain data.example/resource -dataset uczf-rk3c", "-domain wants"},
		{"-domain https://secret:secret@data.example -dataset uczf-rk3c", "-domain wants"},
		{"-domain ftp://data.example -dataset uczf-rk3c", "-domain wants"},
		{"-domain data.example?$$app_token=secret -dataset uczf-rk3c", "-domain wants"},
		{"-domain data.example -dataset uczf-rk3c -format xml", "-format is"},
		{"-domain data.example -dataset uczf-rk3c -workers 0", "-workers begins at 1 and"},
		{"-domain data.example -dataset uczf-rk3c -page -1", "-page begins at 1"},
		{"-domain data.example -dataset uczf-rk3c -rps -1", "-rps begins at 0"},
		{"-domain data.example -dataset uczf-rk3c -page 0", "-page begins at 1"},
		{"-page 0", "-page begins at 1"},
		{"-domain data.example -dataset uczf-rk3c -workers 1001", "-workers begins at 1 and ends at 1000"},
		{"-domain data.example -dataset uczf-rk3c -rps NaN", "-rps begins at 0"},
		{"-domain data.example -dataset uczf-rk3c -grace -1s", "-grace begins at 0"},
		{"-domain data.example -dataset uczf-rk3c secret", "no arguments"},
		{"-dataset uczf-rk3c", "want a -domain"},
		{"-token secret", "want a -domain"},
		{"-out trees.csv", "want a -domain"},
		{"-domain data.example -dataset uczf-rk3c -out -", "cannot be standard output"},
		{"-nope", "-nope"},
	} {
		t.Setenv("SODA_APP_TOKEN", "")
		_, err := parse(strings.Fields(tt.args), &bytes.Buffer{})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v", tt.args, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a secret is in %v", tt.args, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Setenv("SODA_APP_TOKEN", "from the environment")
	c, err := parse([]string{"-domain", "data.example", "-dataset", "uczf-rk3c"}, &bytes.Buffer{})
	if err != nil || c.Out != "uczf-rk3c.jsonl" || c.Page != 10_000 || c.Workers != 8 || c.Token != "from the environment" || c.Portal.String() != "https://data.example" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestHelp(t *testing.T) {
	var out, err bytes.Buffer
	if got := run(t.Context(), []string{"-h"}, &out, &err); got != exitDone {
		t.Errorf("exit status %d", got)
	}
	for _, words := range []string{
		"usage: batch [flags]", "  0\t", "  1\t", "  2\t", "  75\t", "Environment:\n  SODA_APP_TOKEN\n",
		"sodahttp-demo.jsonl in the working directory", "-workers number\n", "-domain host\n", "or a URL of a scheme and a host;", "-dataset id\n    \t4x4 id of the data set, such as uczf-rk3c; wants a -domain\n", "file to make; wants a -domain;", "app token; wants a -domain;", "-format csv|jsonl\n", ".pace.json",
	} {
		if !strings.Contains(err.String(), words) {
			t.Errorf("there is no %q in\n%s", words, &err)
		}
	}
}

// What is wrong with the flags is said, and nothing is begun.
func TestMisuse(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range []string{"-nope", "-dataset uczf-rk3c", "-domain data.example", "-workers many"} {
		var out, err bytes.Buffer
		if got := run(t.Context(), strings.Fields(args), &out, &err); got != exitMisuse || !strings.HasPrefix(err.String(), "batch: ") || strings.Count(err.String(), "\n") != 1 {
			t.Errorf("%s: exit status %d:\n%s", args, got, &err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
}

// Who reads the log may go away in the night.
func TestNobodyReadsTheLog(t *testing.T) {
	srv := sodatest.NewServer(sodatest.Generated(sodatest.SampleID, 1000))
	defer srv.Close()
	dir := t.TempDir()
	program, out := filepath.Join(dir, "batch"), filepath.Join(dir, "out")
	if said, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	export := exec.CommandContext(t.Context(), program, "-domain", srv.URL, "-dataset", sodatest.SampleID, "-page", "100", "-out", out)
	export.Stdout, export.Stderr = w, w
	if err := errors.Join(r.Close(), export.Run(), w.Close()); err != nil {
		t.Error(err)
	}
	if sum(t, out) != want(1000) {
		t.Error("the file is not that of the portal's rows")
	}
}

// What a new user does first works, needs no network, and says last where the
// file is, which is where the README says.
func TestDemonstration(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "batch")
	if said, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	demo := exec.Command(program)
	demo.Dir = dir
	said, err := demo.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if sum(t, filepath.Join(dir, "sodahttp-demo.jsonl")) != want(100_000) {
		t.Errorf("the file is not that of the demonstration:\n%s", said)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "file      sodahttp-demo.jsonl, 18.0 MB, ") {
		t.Errorf("the last line is %q", last)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v are left (%v)", left, err)
	}
}
