package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
		{"-domain data.example -dataset uczf-rk3c -workers 0", "begin at 1"},
		{"-domain data.example -dataset uczf-rk3c -page -1", "begin at 1"},
		{"-domain data.example -dataset uczf-rk3c -rps -1", "begin at 1"},
		{"-domain data.example -dataset uczf-rk3c secret", "no arguments"},
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
	if got := run(t.Context(), []string{"-h"}, &out, &err); got != exitDone || !strings.Contains(err.String(), "usage: batch [flags]") {
		t.Errorf("exit status %d:\n%s", got, &err)
	}
	if got := run(t.Context(), []string{"-nope"}, &out, &err); got != exitFailed {
		t.Errorf("exit status %d:\n%s", got, &err)
	}
}

// What a new user does first works, and needs no network.
func TestDemonstration(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	said, err := exec.Command("go", "run", ".", "-out", out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if sum(t, out) != want(100_000) {
		t.Errorf("the file is not that of the demonstration:\n%s", said)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 2 {
		t.Errorf("%v are left (%v)", left, err)
	}
}
