package classify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
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

// hopeless reports whether err is known to come back on every attempt, none of
// which gets as far as sending the request.
func hopeless(err error) bool {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	return is[*tls.CertificateVerificationError](err) ||
		is[x509.UnknownAuthorityError](err) ||
		is[x509.HostnameError](err) ||
		is[x509.CertificateInvalidError](err) ||
		is[*net.AddrError](err) ||
		is[*net.ParseError](err) ||
		is[net.UnknownNetworkError](err) ||
		is[net.InvalidAddrError](err) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		// Conn is set for a first record that is not TLS at all, not for a
		// record garbled later on.
		errors.As(err, &record) && record.Conn != nil ||
		errors.As(err, &dns) && dns.IsNotFound
}

// unsent reports whether err proves that the server did not act on the
// request: no connection came about, or the server said that it left the
// stream alone (RFC 9113, section 8.7).
func unsent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		switch op.Op {
		case "dial", "proxyconnect", "socks connect":
			return true
		case "read", "write": // whatever it was, there was a connection
			return false
		}
	}
	if code, ok := streamCodeOf(err); ok {
		return code == refusedStream
	}
	return is[*net.DNSError](err) || errors.Is(err, syscall.ECONNREFUSED) || some(err, refusedByProxy) || says(err,
		"net/http: TLS handshake timeout",
		"http2: client conn not usable",
		"http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: Transport received GOAWAY from server")
}

// refusedByProxy reports whether err is what net/http makes of a proxy that
// answers CONNECT with a status that passes: the text of the status alone.
func refusedByProxy(err error) bool {
	switch err.Error() {
	case "Too Many Requests", "Bad Gateway", "Service Unavailable", "Gateway Timeout":
		return true
	}
	return false
}

// passing reports whether err is a fault of the connection or a timeout of one
// attempt, which another attempt may not meet.
func passing(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "read" || op.Op == "write") {
		return true
	}
	if code, ok := streamCodeOf(err); ok {
		return code != inadequateSecurity && code != http11Required
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	// A header that is cut within a line is a malformed one to net/http.
	return is[textproto.ProtocolError](err) || some(err, timedOut) || says(err,
		"http: server closed idle connection",
		"net/http: cannot rewind body after connection loss",
		"http2: client connection lost",
		"http2: server sent GOAWAY and closed the connection")
}

func timedOut(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// says reports whether err or an error in it is what net/http says, or says
// that it could not retry, in words that begin with one of the texts.
func says(err error, texts ...string) bool {
	return some(err, func(err error) bool {
		msg := strings.TrimPrefix(err.Error(), cannotRetry)
		for _, t := range texts {
			if strings.HasPrefix(msg, t) {
				return true
			}
		}
		return false
	})
}

const cannotRetry = "http2: Transport: cannot retry err ["

// some reports whether yes holds for err or for an error that it wraps, each
// asked on its own: a *url.Error hides both the text and the Timeout of what
// is in it.
func some(err error, yes func(error) bool) bool {
	if err == nil || yes(err) {
		return err != nil
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return some(e.Unwrap(), yes)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if some(err, yes) {
				return true
			}
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
	refusedStream      streamCode = 0x7
	inadequateSecurity streamCode = 0xc
	http11Required     streamCode = 0xd
	otherCode          streamCode = 0xffff // read from a text, and none of the above
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

// streamCodeOf returns why an HTTP/2 stream was reset, if that is what err is.
// The type is lost behind "cannot retry err", and golang.org/x/net's own
// transport has another.
func streamCodeOf(err error) (code streamCode, ok bool) {
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code, true
	}
	code = otherCode
	ok = some(err, func(err error) bool {
		msg, reset := strings.CutPrefix(strings.TrimPrefix(err.Error(), cannotRetry), "stream error: stream ID ")
		_, reason, _ := strings.Cut(msg, "; ")
		for name, c := range map[string]streamCode{"REFUSED_STREAM": refusedStream,
			"INADEQUATE_SECURITY": inadequateSecurity, "HTTP_1_1_REQUIRED": http11Required} {
			if reset && strings.HasPrefix(reason, name) {
				code = c
			}
		}
		return reset
	})
	return code, ok
}
