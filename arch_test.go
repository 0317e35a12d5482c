package sodahttp_test

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sodahttp/sodahttp"

// arrows has, for each package, what it may import beside the standard library.
// A package that is not here may not exist.
var arrows = map[string][]string{
	".":        {},
	"classify": {},
	"policy":   {"classify", "github.com/cenkalti/backoff/v4"},
	"pace":     {"classify", "golang.org/x/time/rate"},
	"transport": {"policy", "pace", "classify",
		"github.com/hashicorp/go-retryablehttp"},
	"status":              {"transport", "policy", "pace", "classify"},
	"sodatest":            {},
	"sodatest/contract":   {"sodatest"},
	"examples/get":        {"transport"},
	"examples/quickstart": {"transport", "classify", "sodatest"},
}

func TestArrows(t *testing.T) {
	for _, dir := range packages(t) {
		allowed, ok := arrows[dir]
		if !ok {
			t.Errorf("package %s is not in the plan", dir)
			continue
		}
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pkg.Imports {
			name := strings.TrimPrefix(path, module+"/")
			if std := !strings.Contains(strings.Split(path, "/")[0], "."); !std && !slices.Contains(allowed, name) {
				t.Errorf("package %s may not import %s", dir, path)
			}
		}
	}
}

func TestRequirements(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	want := []string{"github.com/cenkalti/backoff/v4", "github.com/hashicorp/go-retryablehttp", "golang.org/x/time"}
	if !slices.Equal(direct, want) {
		t.Errorf("go.mod requires %q, want %q", direct, want)
	}
}

var update = flag.Bool("update", false, "write api.txt anew")

// TestAPI holds the exported names to api.txt, and each to have a doc comment.
func TestAPI(t *testing.T) {
	var names []string
	for _, dir := range packages(t) {
		if strings.HasPrefix(dir, "examples") {
			continue
		}
		names = append(names, exported(t, dir)...)
	}
	got := strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile("api.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("api.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range diff(strings.Split(string(want), "\n"), names) {
		t.Errorf("api.txt and the code differ: %s (go test -run TestAPI . -update writes it)", line)
	}
}

// diff returns the lines that only one side has.
func diff(want, got []string) (lines []string) {
	for _, w := range want {
		if w != "" && !slices.Contains(got, w) {
			lines = append(lines, "gone: "+w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			lines = append(lines, "new: "+g)
		}
	}
	return lines
}

// packages returns the folders of the root module that hold a package.
func packages(t *testing.T) (dirs []string) {
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if base := d.Name(); path != "." && (strings.HasPrefix(base, ".") || base == "testdata") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." {
			return filepath.SkipDir // a module of its own
		}
		if _, err := build.ImportDir(path, 0); err == nil {
			dirs = append(dirs, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil || len(dirs) < len(arrows) {
		t.Fatalf("found %q, %v; fewer than planned", dirs, err)
	}
	return dirs
}

// exported returns the exported names of a package, fields and methods too, and
// complains about those without a comment.
func exported(t *testing.T, dir string) (names []string) {
	fset := token.NewFileSet()
	var files []*ast.File
	matches, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range matches {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, module+"/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	if pkg.Doc == "" {
		t.Errorf("package %s has no comment", dir)
	}
	add := func(name, comment string) {
		names = append(names, dir+" "+name)
		if comment == "" {
			t.Errorf("%s.%s has no comment", dir, name)
		}
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			for _, s := range v.Decl.Specs {
				spec := s.(*ast.ValueSpec)
				for _, n := range spec.Names {
					if n.IsExported() {
						add(v.Decl.Tok.String()+" "+n.Name, v.Doc+spec.Doc.Text()+spec.Comment.Text())
					}
				}
			}
		}
	}
	funcs := func(all []*doc.Func) {
		for _, f := range all {
			recv := ""
			if f.Recv != "" {
				recv = "(" + f.Recv + ") "
			}
			add("func "+recv+f.Name, f.Doc)
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs)
	for _, typ := range pkg.Types {
		add("type "+typ.Name, typ.Doc)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
		for _, f := range fields(typ) {
			add("field "+typ.Name+"."+f.name, f.comment+typ.Doc)
			if link := brackets.FindString(f.comment); link != "" {
				t.Errorf("the comment of field %s.%s.%s has %s, which go doc shows as it is", dir, typ.Name, f.name, link)
			}
		}
	}
	slices.Sort(names)
	return names
}

// brackets are of a doc link, which only works outside of fields.
var brackets = regexp.MustCompile(`\[\*?[A-Z][A-Za-z.]+\]|\[\*?[a-z]+\.[A-Z][A-Za-z]+\]`)

type field struct{ name, comment string }

func fields(typ *doc.Type) (all []field) {
	for _, s := range typ.Decl.Specs {
		st, ok := s.(*ast.TypeSpec).Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range st.Fields.List {
			for _, n := range f.Names {
				if n.IsExported() {
					all = append(all, field{n.Name, f.Doc.Text() + f.Comment.Text()})
				}
			}
		}
	}
	return all
}
