package classify

import (
	"net/http"
	"strings"
)

// Idempotent reports whether sending req twice does what sending it once does,
// so far as the request tells: by its method (RFC 9110, section 9.2.2), by an
// Idempotency-Key, and by what is known of Socrata: POSTs of SODA3 queries and
// exports are reads, and DSMAPI chunks are addressed by their position.
func Idempotent(req *http.Request) bool {
	if readOnly(req) {
		return true
	}
	switch req.Method {
	case http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	// As net/http has it, the key's presence is what counts.
	for _, h := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, ok := req.Header[h]; ok {
			return true
		}
	}
	return req.Method == http.MethodPost && chunkUpload(req)
}

// readOnly reports whether req only reads. A nil req counts as a GET.
func readOnly(req *http.Request) bool {
	if req == nil {
		return true
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		return soda3Read(req)
	}
	return false
}

// soda3Read: POST /api/v3/views/{id}/query.json, .../export.csv and their like.
func soda3Read(req *http.Request) bool {
	if req.URL == nil {
		return false
	}
	rest, ok := strings.CutPrefix(req.URL.Path, "/api/v3/views/")
	id, op, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(op, ".")
	return ok && id != "" && !strings.Contains(op, "/") && (name == "query" || name == "export")
}

// chunkUpload: POST /api/publishing/v1/source/{id}/chunk/{seq}/{offset}.
func chunkUpload(req *http.Request) bool {
	if req.URL == nil {
		return false
	}
	p := strings.Split(req.URL.Path, "/")
	return len(p) == 9 && p[1] == "api" && p[2] == "publishing" && p[4] == "source" && p[6] == "chunk"
}
