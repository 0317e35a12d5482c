package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/sodahttp/sodahttp/transport"
)

// A fetcher gets pages.
type fetcher struct {
	config *config
	portal *asker
	parts  *parts
}

// fetch brings page n to the disk and returns its size.
//
// It asks with $offset, not with ":id > the last one": so a page is known by its
// number, workers need not wait for each other, and a page can be had again. It
// keeps its place as long as the data stays as it is, and that is looked at.
func (f *fetcher) fetch(ctx context.Context, n int) (size int64, err error) {
	ext := "json"
	if f.parts.of.Format == "csv" {
		ext = "csv"
	}
	page := f.config.resource(ext, url.Values{
		"$order":  {":id"},
		"$limit":  {strconv.Itoa(f.parts.of.Page)},
		"$offset": {strconv.Itoa(n * f.parts.of.Page)},
	})
	err = f.portal.ask(ctx, page, func(h http.Header, body io.Reader) error { return f.keep(n, h, body) })
	var cut *transport.BodyError
	if errors.As(err, &cut) && cut.Changed {
		err = &errChanged{"the same page is another when asked for again"}
	}
	if err != nil {
		return 0, fmt.Errorf("page %d: %w", n, err)
	}
	info, err := os.Stat(f.parts.part(n))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// keep writes page n down, if it is of the data that the export is of.
func (f *fetcher) keep(n int, h http.Header, body io.Reader) error {
	switch now, err := modified(h); {
	case err != nil:
		return err
	case now != f.parts.of.Modified:
		return &errChanged{fmt.Sprintf("it was of %q, and is of %q", f.parts.of.Modified, now)}
	}
	return f.parts.keep(n, func(w io.Writer) error {
		rows, header, err := copyRows(f.parts.of.Format, w, body)
		switch {
		case err != nil:
			return err
		case rows != f.parts.of.rowsOf(n):
			return &errChanged{fmt.Sprintf("a page has %d rows, and should have %d", rows, f.parts.of.rowsOf(n))}
		}
		return f.parts.fits(n, header)
	})
}
