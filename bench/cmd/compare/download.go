package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sodahttp/sodahttp/bench"
	"github.com/sodahttp/sodahttp/transport"
)

// downloads measures 1 GiB that is not cut, with and without Resume.
func downloads(r *run) (works []work) {
	for _, kind := range []string{"application/octet-stream", "text/csv"} {
		r.progress("1 GiB down, " + kind)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", kind)
			chunk := make([]byte, 64<<10)
			blanks{}.Read(chunk)
			for range gib / len(chunk) {
				w.Write(chunk)
			}
		}))
		var all []subject
		for _, c := range []struct {
			name string
			rt   http.RoundTripper
		}{{"http.Transport", &http.Transport{}}, {"Resume", &transport.Resume{Base: &http.Transport{}}}, {"Resume over Transport", &transport.Resume{Base: &transport.Transport{Base: &http.Transport{}}}}} {
			req, err := http.NewRequest("GET", srv.URL, nil)
			if err != nil {
				panic(err)
			}
			all = append(all, subject{c.name, func(n int) {
				for range n {
					send(c.rt, req)
				}
			}})
		}
		works = append(works, work{"Download/kind=" + slug(kind), kind, interleave(r.rounds(5), time.Millisecond, all)})
		srv.Close()
	}
	return works
}

// A cut is what one contender made of a download that is cut once.
type cut struct {
	name    string
	bytes   int64
	outcome string
}

// cuts has each contender download 16 MiB that are cut in the middle once.
func cuts(r *run) (all []cut) {
	r.progress("downloads that are cut")
	const size = 16 << 20
	chosen := append(bench.Contenders(), bench.Contender{Name: "sodahttp with Resume", Wrap: func(base http.RoundTripper) http.RoundTripper {
		return &transport.Resume{Base: &transport.Transport{Base: base}}
	}})
	for _, c := range chosen {
		first := true
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if first {
				first = false
				w = half{w, new(int64)}
			}
			http.ServeContent(w, req, "", time.Time{}, io.NewSectionReader(blanksAt{}, 0, size))
		}))
		srv.Config.ErrorLog = discardLog
		base := &http.Transport{}
		req, err := http.NewRequest("GET", srv.URL, nil)
		if err != nil {
			panic(err)
		}
		result := cut{name: c.Name, outcome: "whole"}
		resp, err := c.Wrap(base).RoundTrip(req)
		if err == nil {
			result.bytes, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err != nil {
			result.outcome = bare(err).Error()
		}
		all = append(all, result)
		base.CloseIdleConnections()
		srv.Close()
	}
	return all
}

// half breaks the connection off after 8 MiB.
type half struct {
	http.ResponseWriter
	sent *int64
}

func (h half) Write(p []byte) (int, error) {
	if *h.sent += int64(len(p)); *h.sent > 8<<20 {
		panic(http.ErrAbortHandler)
	}
	return h.ResponseWriter.Write(p)
}

type blanksAt struct{ blanks }

func (b blanksAt) ReadAt(p []byte, _ int64) (int, error) { return b.Read(p) }
