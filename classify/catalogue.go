package classify

import "strings"

// Kind is a row of Socrata's error catalogue, or Unlisted, which is the zero
// Kind. A Kind is an error, so that errors.Is(err, classify.NotFound) asks what
// a failed call came to.
type Kind uint8

// The kinds, in the order of the catalogue.
const (
	Unlisted                 Kind = iota // no row names it: a success, 502, 503, a network error
	Accepted                             // 202 accepted
	AuthenticationRequired               // 401 authentication_required
	Deserialization                      // 400 deserialization
	ExecutionTimeout                     // 504 execution_timeout; 408 too
	Internal                             // 500 internal
	InvalidRequest                       // 400 invalid_request
	MethodNotAllowed                     // 405 method_not_allowed
	NotFound                             // 404 not_found
	PermissionDenied                     // 403 permission_denied
	RowCacheTimeout                      // known by its name only
	RowIDCache                           // known by its name only
	TooManyRequests                      // 429 too_many_requests
	TypeMismatch                         // 400 type_mismatch
	UnacceptableResponseType             // 406 unacceptable_response_type
	UncheckedClientHTTP                  // known by its name only
)

// A Row is one row of the error catalogue.
type Row struct {
	Kind    Kind
	Title   string // "Execution Timeout"
	Status  int    // HTTP status; 0 where the catalogue says 0, which no response ever has
	Code    string // "execution_timeout"; "null" where the catalogue says null
	Meaning string // the catalogue's sentence; empty where it has none
}

// rows is the catalogue, word for word; rows[k-1] is the row of Kind k.
var rows = [...]Row{
	{Accepted, "Accepted", 202, "accepted", ""},
	{AuthenticationRequired, "Authentication Required", 401, "authentication_required",
		"You accessed a resource that requires authentication without a valid session. To access the resource, first authenticate using the Authentication Service."},
	{Deserialization, "Deserialization", 400, "deserialization",
		"The server could not respond to your request because the server was unable to parse the service input. The error message contains additional details that you can use to diagnose the problem."},
	{ExecutionTimeout, "Execution Timeout", 504, "execution_timeout",
		"The operation did not finish within time allowed."},
	{Internal, "Internal", 500, "internal",
		"An unrecoverable internal error prevented the server from fulfilling a resource request. If you continually receive this error code please contact Socrata Support."},
	{InvalidRequest, "Invalid Request", 400, "invalid_request",
		"The server could not respond to your request because the input you provided was not structured correctly. The error message contains additional details that you can use to diagnose the problem."},
	{MethodNotAllowed, "Method Not Allowed", 405, "method_not_allowed",
		"The server could not respond to your request because the HTTP method used is not allowed. The error message contains additional details that you can use to diagnose the problem."},
	{NotFound, "Not Found", 404, "not_found",
		"The resource you attempted to access does not exist or you do not have proper privileges for access."},
	{PermissionDenied, "Permission Denied", 403, "permission_denied",
		"You attempted to access a resource or method for which you are not authorized."},
	{RowCacheTimeout, "Row Cache Timeout", 0, "null", ""},
	{RowIDCache, "Row Id Cache", 0, "null", ""},
	{TooManyRequests, "Too Many Requests", 429, "too_many_requests",
		"You attempted to access a resource or method for which you are not authorized."},
	{TypeMismatch, "Type Mismatch", 400, "type_mismatch",
		"The server could not respond to your request because the input you provided contained a datatype that was not compatible with the structure expected by the server. The error message contains additional details that you can use to diagnose the problem."},
	{UnacceptableResponseType, "Unacceptable Response Type", 406, "unacceptable_response_type",
		"The server was unable to provide content in the MIME type requested by the user agent. You can control the returned MIME type using the HTTP Accept header or by providing a file extension in the resource URL such as .json or .html."},
	{UncheckedClientHTTP, "Unchecked Client Http", 0, "null", ""},
}

// Catalogue returns the 15 rows of Socrata's error catalogue in its order. The
// slice is the caller's own.
func Catalogue() []Row {
	all := rows
	return all[:]
}

// String returns the catalogue's title of k, such as "Too Many Requests", or
// "Unlisted".
func (k Kind) String() string {
	if k == Unlisted || int(k) > len(rows) {
		return "Unlisted"
	}
	return rows[k-1].Title
}

// Error gives "socrata: " and the title. It makes a Kind an error to compare
// with errors.Is; package fmt prints a Kind this way too.
func (k Kind) Error() string { return "socrata: " + k.String() }

// MarshalText gives the title in the form of a code, such as too_many_requests;
// where the catalogue has a code, this is it.
func (k Kind) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(strings.ReplaceAll(k.String(), " ", "_"))), nil
}
