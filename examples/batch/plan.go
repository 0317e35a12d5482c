package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// A plan is what an export is of. It is kept beside the pages, which are worth
// nothing without it.
type plan struct {
	Host     string `json:"host"`
	Dataset  string `json:"dataset"`
	Format   string `json:"format"`
	Page     int    `json:"page"`
	Rows     int    `json:"rows"`
	Modified string `json:"modified"` // when the data changed last, as the portal says it
}

// pages returns how many there are: at least one, which has the header of a CSV.
func (p plan) pages() int {
	n := p.Rows / p.Page
	if p.Rows%p.Page > 0 {
		n++
	}
	return max(1, n)
}

// check returns an error if p cannot be the plan of an export. All pages are
// listed in memory, so there is an end to their number.
func (p plan) check() error {
	const most = 10_000_000
	if p.Page < 1 || p.Rows < 0 || p.Rows/p.Page >= most {
		return fmt.Errorf("%d rows in pages of %d, where there can be %d pages", p.Rows, p.Page, most)
	}
	return nil
}

// rowsOf returns how many rows page n has, from 0.
func (p plan) rowsOf(n int) int { return min(p.Page, p.Rows-n*p.Page) }

// An errChanged says that the pages are not all of the same data.
type errChanged struct{ what string }

func (e *errChanged) Error() string {
	return "the data set has changed since the export began: " + e.what + "; pages of old and new data do not fit together"
}

// What Socrata's answers say of the data that they are made of.
const (
	headerModified = "X-Soda2-Truth-Last-Modified"
	headerStale    = "X-Soda2-Data-Out-Of-Date"
)

// errStale says that a copy of the data answered that lags behind the original.
var errStale = errors.New("the portal's copy of the data is not up to date")

// modified returns when the data behind an answer changed last, or "" if that is
// not said.
func modified(h http.Header) (string, error) {
	if h.Get(headerStale) == "true" {
		return "", errStale
	}
	return cmp.Or(h.Get(headerModified), h.Get("Last-Modified")), nil
}

// newPlan asks the portal how many rows there are.
func (c *config) newPlan(ctx context.Context, portal *asker) (plan, error) {
	p := plan{Host: c.Portal.Host, Dataset: c.Dataset, Format: c.Format, Page: c.Page}
	err := portal.ask(ctx, c.resource("json", url.Values{"$select": {"count(*)"}}), func(h http.Header, body io.Reader) (err error) {
		if p.Modified, err = modified(h); err == nil {
			p.Rows, err = readCount(body)
		}
		return err
	})
	if err != nil {
		return p, fmt.Errorf("counting the rows: %w", err)
	}
	return p, p.check()
}

// readCount reads [{"count":"17"}]. The name of the column is the portal's choice.
func readCount(body io.Reader) (int, error) {
	var counts []map[string]string
	if err := json.NewDecoder(body).Decode(&counts); err != nil {
		return 0, err
	}
	if len(counts) == 1 && len(counts[0]) == 1 {
		for _, s := range counts[0] {
			if n, err := strconv.Atoi(s); err == nil && n >= 0 {
				return n, nil
			}
		}
	}
	return 0, errors.New("the answer is no count")
}

// fits returns an error unless c asks for the export that p is of.
func (p plan) fits(c *config) error {
	was, is := p, plan{c.Portal.Host, c.Dataset, c.Format, c.Page, p.Rows, p.Modified}
	if was != is {
		return fmt.Errorf("the unfinished export is of %s/%s as %s in pages of %d: -resume wants the same flags again",
			p.Host, p.Dataset, p.Format, p.Page)
	}
	return nil
}

// resource returns the URL of a question.
func (c *config) resource(ext string, query url.Values) string {
	u := *c.Portal
	u.Path, u.RawQuery = "/resource/"+c.Dataset+"."+ext, query.Encode()
	return u.String()
}
