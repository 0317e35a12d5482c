package status_test

import (
	"context"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var shots = flag.String("shots", "", "leave the screenshots in this folder")

// TestInABrowser has Chromium draw the page of a night, on a phone and on a
// desk, by day and by night, with the headers that it is served with.
func TestInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here; apt-get install chromium brings it")
	}
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	var w *httptest.ResponseRecorder
	synctest.Test(t, func(t *testing.T) {
		page, stop := aNight(t)
		defer stop()
		w = get(page, "/?still", "text/html")
	})
	body := opened(w.Body.String())
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		maps.Copy(rw.Header(), w.Header())
		rw.Header().Del("Content-Length")
		io.WriteString(rw, body)
	}))
	defer srv.Close()
	dir := *shots
	if dir == "" {
		dir = t.TempDir()
	}
	for _, shot := range []struct {
		name          string
		width, height int
		scheme        int // 0 is dark, 1 is light
	}{{"phone-light", 390, 1500, 1}, {"phone-dark", 390, 1500, 0}, {"desktop-light", 1200, 1100, 1}, {"desktop-dark", 1200, 1100, 0}} {
		file := filepath.Join(dir, shot.name+".png")
		screenshot(t, browser, srv.URL, file, shot.width, shot.height, shot.scheme)
		img := decode(t, file)
		if b := img.Bounds(); b.Dx() != shot.width || b.Dy() != shot.height {
			t.Errorf("%s is of %v", shot.name, b)
		}
		// With its style sheet, the page has a colour of its own at the edge, and
		// plain HTML has not.
		if r, g, b, _ := img.At(2, 2).RGBA(); (r < 0x8000) != (shot.scheme == 0) || r == g && g == b {
			t.Errorf("%s has the colour %x %x %x at its edge", shot.name, r, g, b)
		}
		// Nothing reaches into the margin at the right.
		edge := img.At(2, 2)
		for y := range shot.height {
			if got := img.At(shot.width-4, y); got != edge && shot.width < 500 {
				t.Errorf("%s is too wide at line %d", shot.name, y)
				break
			}
		}
	}
}

// opened opens the first of the requests that had several attempts, so that
// there is something to see of them.
func opened(page string) string {
	before, after, _ := strings.Cut(page, " attempts, ")
	i := strings.LastIndex(before, "<details>")
	return before[:i] + "<details open>" + before[i+len("<details>"):] + " attempts, " + after
}

func screenshot(t *testing.T, browser, url, file string, width, height, scheme int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--disable-background-networking", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,%d", width, height), fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
		"--screenshot="+file, url)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("chromium does not run here: %v\n%s", err, out)
	}
}

func decode(t *testing.T, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
