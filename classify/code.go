package classify

import (
	"net/http"
	"strings"
)

// kindOfStatus names the catalogue's row by the status alone.
func kindOfStatus(status int) Kind {
	switch status {
	case http.StatusAccepted:
		return Accepted
	case http.StatusBadRequest:
		return InvalidRequest
	case http.StatusUnauthorized:
		return AuthenticationRequired
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound:
		return NotFound
	case http.StatusMethodNotAllowed:
		return MethodNotAllowed
	case http.StatusNotAcceptable:
		return UnacceptableResponseType
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return ExecutionTimeout
	case http.StatusTooManyRequests:
		return TooManyRequests
	case http.StatusInternalServerError:
		return Internal
	}
	return Unlisted
}

// kindOfCode names the catalogue's row by an error code of either family: the
// catalogue's own (type_mismatch) or that of the SODA2 data path
// (query.soql.type-mismatch), which is told by its last segment.
func kindOfCode(code string) (Kind, bool) {
	switch lastSegment(code) {
	case "accepted":
		return Accepted, true
	case "authentication-required":
		return AuthenticationRequired, true
	case "deserialization", "malformed-json":
		return Deserialization, true
	case "execution-timeout", "request-timeout":
		return ExecutionTimeout, true
	case "internal", "internal-error":
		return Internal, true
	case "invalid-request":
		return InvalidRequest, true
	case "method-not-allowed":
		return MethodNotAllowed, true
	case "not-found", "missing", "does-not-exist":
		return NotFound, true
	case "permission-denied":
		return PermissionDenied, true
	case "row-cache-timeout":
		return RowCacheTimeout, true
	case "row-id-cache":
		return RowIDCache, true
	case "too-many-requests":
		return TooManyRequests, true
	case "type-mismatch":
		return TypeMismatch, true
	case "unacceptable-response-type", "schema-invalid-for-mime-type":
		return UnacceptableResponseType, true
	case "unchecked-client-http":
		return UncheckedClientHTTP, true
	}
	return Unlisted, false
}

// lastSegment returns what follows the last dot of code, in lower case and
// with hyphens: the two code families differ in little else. A column or
// content type that is "missing" is not a resource that is.
func lastSegment(code string) string {
	code = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(code), "_", "-"))
	if code == "req.content-type.missing" {
		return ""
	}
	return code[strings.LastIndexByte(code, '.')+1:]
}
