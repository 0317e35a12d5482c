package classify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// ofError returns the verdict on an attempt that brought no response. It goes
// by type; text is looked at only for net/http's errors that have no type. An
// error that it does not know is Final.
func ofError(req *http.Request, err error) Outcome {
	switch {
	case err == nil,
		req != nil && req.Context().Err() != nil, // the caller has given up, not the server
		errors.Is(err, context.Canceled):
		return Outcome{}
	case hopeless(err):
		return Outcome{Class: Final, Acted: ActedNo}
	case unsent(err):
		return Outcome{Class: Transient, Acted: ActedNo}
	case passing(err):
		return Outcome{Class: Transient}
	}
	return Outcome{}
}

// hopeless reports whether err is known to come back on every attempt.
func hopeless(err error) bool {
	var dns *net.DNSError
	return is[*tls.CertificateVerificationError](err) ||
		is[x509.UnknownAuthorityError](err) ||
		is[x509.HostnameError](err) ||
		is[x509.CertificateInvalidError](err) ||
		is[tls.RecordHeaderError](err) ||
		is[tls.AlertError](err) ||
		is[*net.AddrError](err) ||
		is[*net.ParseError](err) ||
		is[net.UnknownNetworkError](err) ||
		is[net.InvalidAddrError](err) ||
		errors.As(err, &dns) && dns.IsNotFound
}

// unsent reports whether err proves that the server did not act on the
// request: no connection came about, or the server said that it left the
// stream alone (RFC 9113, section 8.7).
func unsent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect") {
		return true
	}
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code == refusedStream
	}
	if says(err, "stream error: ") { // behind "cannot retry err", where the type is lost
		return strings.Contains(err.Error(), "; REFUSED_STREAM")
	}
	return is[*net.DNSError](err) || errors.Is(err, syscall.ECONNREFUSED) || says(err,
		"net/http: TLS handshake timeout",
		"http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: Transport received GOAWAY from server")
}

// passing reports whether err is a fault of the connection or a timeout of one
// attempt, which another attempt may not meet.
func passing(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "read" || op.Op == "write") {
		return true
	}
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code != inadequateSecurity && stream.Code != http11Required
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return true
	}
	return says(err,
		"http: server closed idle connection",
		"http2: client connection lost",
		"http2: server sent GOAWAY and closed the connection")
}

// says reports whether err, or what net/http says it could not retry because
// of, begins with one of the texts.
func says(err error, texts ...string) bool {
	msg := strings.TrimPrefix(err.Error(), "http2: Transport: cannot retry err [")
	for _, t := range texts {
		if strings.HasPrefix(msg, t) {
			return true
		}
	}
	return false
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// Error codes of RFC 9113, section 7.
const (
	refusedStream      = 0x7
	inadequateSecurity = 0xc
	http11Required     = 0xd
)

// streamError has the form of golang.org/x/net/http2.StreamError, which
// net/http's own stream errors convert to in errors.As.
type streamError struct {
	StreamID uint32
	Code     streamCode
	Cause    error
}

type streamCode uint32

func (e streamError) Error() string { return "http2 stream error" }
