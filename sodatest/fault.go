package sodatest

// sampleTicket is the ticket of Fault("accepted").
const sampleTicket = "7cf317cb-d0a7-4f1d-aee5-9afe9f5042e2"

// A knownCode is what Socrata sends with an error code.
type knownCode struct {
	status  int
	message string
	data    string // the body's data, as JSON; {id} is the data set's
}

// Fault returns the Reply for an error code, with the status and the message that
// Socrata has for it. It knows
//
//   - the error catalogue: accepted (a 202 with a ticket),
//     authentication_required, deserialization, execution_timeout (504), internal,
//     invalid_request, method_not_allowed, not_found, permission_denied,
//     row_cache_timeout, row_id_cache, too_many_requests, type_mismatch,
//     unacceptable_response_type, unchecked_client_http (those that the catalogue
//     gives status 0 are a 500);
//   - the core's dataset.missing, query.compiler.malformed,
//     query.execution.queryTooComplex;
//   - soda-fountain's internal-error, invalid-request, method-not-allowed,
//     not-found, precondition-failed, request-timeout (408), schema-out-of-sync,
//     service-unavailable, too-many-requests, req.bad-parameter,
//     req.body.malformed-json, req.body.too-large, req.content-type.missing,
//     req.content-type.not-json, soda.dataset.not-found,
//     soda.dataset.cannot-acquire-write-lock, soda.dataset.feedback-in-progress,
//     soda.dataset.incorrect-lifecycle-stage, soda.collocate-lock-timeout,
//     soda.row.dataset-version-mismatch, soda.row.not-found,
//     soda.row.upsert-row-not-an-object, soda.row.primary-key-nonexistent-or-null,
//     update.dataset.temporarily-not-writable,
//     update.dataset.feedback-in-progress, update.read-only-mode;
//   - the query coordinator's query.soql.no-such-column,
//     query.soql.type-mismatch, query.dataset.does-not-exist,
//     query.datasource.unavailable.
//
// Any other code comes with status 500.
func Fault(code string) Reply {
	known, ok := codes[code]
	if !ok {
		return Reply{Status: 500, Code: code}
	}
	r := Reply{Status: known.status, Code: code, Message: known.message}
	if code == "accepted" {
		r.Ticket = sampleTicket
	}
	return r
}

// coreCodes have a dot, and yet the core's shape.
var coreCodes = map[string]bool{
	"dataset.missing":                 true,
	"query.compiler.malformed":        true,
	"query.execution.queryTooComplex": true,
}

const (
	unparsable  = "The server could not respond to your request because the "
	sampleTag   = "67f706da-ad93-4d0c-8012-2d5367e61b22"
	datasetData = `{"dataset":"_{id}"}`
)

var codes = map[string]knownCode{
	// the catalogue
	"accepted":                   {202, "", ""},
	"authentication_required":    {401, "You must be logged in to access this resource", ""},
	"deserialization":            {400, unparsable + "server was unable to parse the service input.", ""},
	"execution_timeout":          {504, "The operation did not finish within time allowed.", ""},
	"internal":                   {500, "Internal error", ""},
	"invalid_request":            {400, unparsable + "input you provided was not structured correctly.", ""},
	"method_not_allowed":         {405, unparsable + "HTTP method used is not allowed.", ""},
	"not_found":                  {404, "Not found", `{"id":"{id}"}`},
	"permission_denied":          {403, "You do not have permission to view this dataset", ""},
	"row_cache_timeout":          {500, "Row cache timeout", ""},
	"row_id_cache":               {500, "Row id cache", ""},
	"too_many_requests":          {429, "Too many requests", ""},
	"type_mismatch":              {400, unparsable + "input you provided contained a datatype that was not compatible with the structure expected by the server.", ""},
	"unacceptable_response_type": {406, "The server was unable to provide content in the MIME type requested by the user agent.", ""},
	"unchecked_client_http":      {500, "Unchecked client HTTP", ""},

	// the core
	"dataset.missing":                 {404, "Not found", `{"id":"{id}"}`},
	"query.compiler.malformed":        {400, "Could not parse SoQL query", `{"position":{}}`},
	"query.execution.queryTooComplex": {400, "Only simple comparison filters are allowed", `{"reason":"validation.complex-filter"}`},

	// soda-fountain
	"internal-error":                           {500, "Internal error: please include code " + sampleTag + " if you report the error", `{"tag":"` + sampleTag + `"}`},
	"invalid-request":                          {400, "Invalid request", ""},
	"method-not-allowed":                       {405, "HTTP method is not allowed for this request", ""},
	"not-found":                                {404, "Not found", ""},
	"precondition-failed":                      {412, "Precondition failed", ""},
	"request-timeout":                          {408, "Request timed out", `{"customTimeout":null}`},
	"schema-out-of-sync":                       {500, "Schema is not in sync with upstream service", ""},
	"service-unavailable":                      {503, "Service unavailable", ""},
	"too-many-requests":                        {429, "Too many requests", ""},
	"req.bad-parameter":                        {400, "Bad parameter", ""},
	"req.body.malformed-json":                  {400, "The body of the request was not well-formed JSON", ""},
	"req.body.too-large":                       {413, "The request body is too large; the limit is 52428800 bytes", `{"limit":52428800}`},
	"req.content-type.missing":                 {400, "The request had no content-type", ""},
	"req.content-type.not-json":                {415, "The content-type set on the request should instead be of type 'application/json'", ""},
	"soda.dataset.not-found":                   {404, "soda.dataset.not-found", `{"dataset":"{id}"}`},
	"soda.dataset.cannot-acquire-write-lock":   {409, "Dataset cannot acquire a write lock", datasetData},
	"soda.dataset.feedback-in-progress":        {409, "Dataset feedback is in progress", datasetData},
	"soda.dataset.incorrect-lifecycle-stage":   {409, "Dataset is in the wrong lifecycle stage", datasetData},
	"soda.collocate-lock-timeout":              {409, "Timed out waiting for the collocation lock", datasetData},
	"soda.row.dataset-version-mismatch":        {409, "The dataset does not have the required version", `{"dataset":"_{id}","version":7}`},
	"soda.row.not-found":                       {404, "Row was not found", ""},
	"soda.row.upsert-row-not-an-object":        {400, "A row of the upsert was not an object", ""},
	"soda.row.primary-key-nonexistent-or-null": {400, "The row identifier does not exist or is null", ""},
	"update.dataset.temporarily-not-writable":  {409, "Dataset is temporarily not writable", datasetData},
	"update.dataset.feedback-in-progress":      {409, "Dataset feedback is in progress", datasetData},
	"update.read-only-mode":                    {503, "The service is in read-only mode", ""},

	// the query coordinator
	"query.soql.no-such-column":    {400, "Query coordinator error: query.soql.no-such-column; No such column", ""},
	"query.soql.type-mismatch":     {400, "Query coordinator error: query.soql.type-mismatch; Type mismatch for op$=", ""},
	"query.dataset.does-not-exist": {404, "Dataset does not exist", `{"dataset":"{id}"}`},
	"query.datasource.unavailable": {503, "Data source unavailable", ""},
}
