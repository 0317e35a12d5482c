package sodahttp_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

func readme(t *testing.T) string {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmePrograms holds the programs that the README shows to those that the
// compiler sees.
func TestReadmePrograms(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	files := []string{"examples/get/main.go", "options_example_test.go", "job_example_test.go", "options_example_test.go", "options_example_test.go", "options_example_test.go", "options_example_test.go"}
	if len(blocks) != len(files) {
		t.Fatalf("found %d Go blocks in the README, want %d", len(blocks), len(files))
	}
	for i, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(words(string(src)), words(blocks[i][1])) {
			t.Errorf("%s has not what the README shows:\n%s", file, blocks[i][1])
		}
	}
}

// words is s with all white space alike.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestReadmeIsFilledIn: no figure is left to be put in.
func TestReadmeIsFilledIn(t *testing.T) {
	if left := regexp.MustCompile(`@[A-Z]+@`).FindAllString(readme(t), -1); left != nil {
		t.Errorf("the README still has %q", left)
	}
}

// TestReadmeTable holds the README's table to the catalogue.
func TestReadmeTable(t *testing.T) {
	text := readme(t)
	for _, row := range classify.Catalogue() {
		want := "| " + row.Title + " |"
		i := strings.Index(text, want)
		if i < 0 {
			t.Errorf("the README has no row %q", want)
			continue
		}
		line, _, _ := strings.Cut(text[i:], "\n")
		if !strings.Contains(line, "`"+row.Code+"`") {
			t.Errorf("the row %q lacks the code %q", line, row.Code)
		}
	}
}
