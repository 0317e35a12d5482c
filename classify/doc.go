// Package classify says what happened to a request to Socrata's Open Data API
// (SODA): which row of the error catalogue an answer belongs to, whether
// another attempt makes sense, and whether the server acted on the request.
//
// [Of] gives the verdict on one attempt, [Check] turns a failure status into a
// typed error, and [Catalogue] lists the 15 rows. All functions are safe for
// concurrent use as long as each response is used by one goroutine at a time.
package classify
