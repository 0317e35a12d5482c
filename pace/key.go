package pace

import (
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"strings"
)

// A Key names what a server counts requests by: a quota, which is a scheme, a
// host and a token, and within it a dataset. Rates and pauses belong to the
// quota, limits on concurrency to the dataset. A Key is comparable and holds
// no secret: tokens are in it as hashes only.
type Key struct {
	quota
	dataset string // the 4x4 id, such as "6zsd-86xi"; empty if the path has none
}

// A quota is the part of a Key that rates and pauses belong to.
type quota struct {
	scheme, host string
	token        uint64 // a hash that no other process can reproduce
	tag          uint8  // a byte of hash that every process reproduces; see tagOf
}

// seed makes the hashes of tokens worthless outside of this process.
var seed = maphash.MakeSeed()

// KeyOf returns the key of a request: where it goes, by whose token, and to
// which dataset.
func KeyOf(req *http.Request) Key {
	return Key{
		quota: quota{
			scheme: req.URL.Scheme,
			host:   hostOf(req.URL.Scheme, req.URL.Host),
			token:  tokenOf(req.Header),
			tag:    tagOf(req.Header),
		},
		dataset: datasetOf(req.URL.Path),
	}
}

// What a server may know the caller by.
const (
	appToken      = "X-App-Token"
	authorization = "Authorization"
)

// tokenOf returns the hash of the tokens in h, 0 if there is none.
func tokenOf(h http.Header) (hash uint64) {
	if len(h) == 0 {
		return 0
	}
	if v := h[appToken]; len(v) > 0 {
		hash = maphash.String(seed, v[0])
	}
	if v := h[authorization]; len(v) > 0 {
		hash = hash*31 + maphash.String(seed, v[0])
	}
	return hash
}

// String returns the scheme and the host of k, and its dataset if it has one.
func (k Key) String() string {
	s := k.scheme + "://" + k.host
	if k.dataset != "" {
		s += " " + k.dataset
	}
	return s
}

// hostOf returns host in lower case without the default port of scheme. It
// allocates only if there is something to change.
func hostOf(scheme, host string) string {
	for i := 0; i < len(host); i++ {
		if c := host[i]; 'A' <= c && c <= 'Z' || c == ':' {
			return canonicalHost(scheme, host)
		}
	}
	return host
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	switch strings.ToLower(scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// datasetOf returns the first 4x4 id in path: two groups of four letters and
// digits joined by a hyphen, standing alone between slashes, dots or ends.
func datasetOf(path string) string {
	for from := 0; ; {
		i := strings.IndexByte(path[from:], '-')
		if i < 0 {
			return ""
		}
		i += from
		if isDataset(path, i) {
			return path[i-4 : i+5]
		}
		from = i + 1
	}
}

// isDataset reports whether the hyphen at path[i] is the middle of a 4x4 id.
func isDataset(path string, i int) bool {
	if i < 4 || i+5 > len(path) || i > 4 && path[i-5] != '/' {
		return false
	}
	if i+5 < len(path) && path[i+5] != '/' && path[i+5] != '.' {
		return false
	}
	for j := i - 4; j < i+5; j++ {
		c := path[j]
		if j != i && !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// tagOf returns one byte that is the same in every process, by which saved
// state finds its token again. It can tell the few tokens of one program
// apart, and it can tell nobody what they are: a byte is all it gives away.
// Two tokens that share it begin with each other's rate, and learn better.
func tagOf(h http.Header) (tag uint8) {
	for _, name := range [...]string{appToken, authorization} {
		if v := h[name]; len(v) > 0 {
			tag = tag*31 + tagOfToken(v[0])
		}
	}
	return tag
}

// tagOfToken returns the tag of one token.
func tagOfToken(token string) uint8 {
	const prime = 0x9e3779b97f4a7c15 // odd, with well-spread bits
	h := uint64(len(token))
	for ; len(token) >= 8; token = token[8:] {
		h = (h ^ binary.LittleEndian.Uint64([]byte(token[:8]))) * prime
		h ^= h >> 29
	}
	for i := 0; i < len(token); i++ {
		h = (h ^ uint64(token[i])) * prime
	}
	return uint8(h >> 56)
}
