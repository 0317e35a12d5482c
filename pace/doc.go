// Package pace decides when requests are sent. It learns, from the answers of
// an HTTP API that throttles, the limit that nobody told it, and shares it
// among all who use the same quota.
//
// Most programs need three things of it: the zero [Pacer], which a Transport has
// anyway, its Snapshot, and its JSON, which keeps what was learned for the next
// run. The rest is for those who write a RoundTripper of their own.
//
// A quota is a scheme, a host and a token. For each there is one line, in
// which callers stand first in, first out, and one belief about the server:
//
//   - open: there is no limit. Sends pass with a few atomic operations; what
//     may be in flight grows from a few.
//   - paced: so many requests per second. The pace climbs until the server
//     rejects, and each reject tells a little more about the rate.
//   - closed: nothing goes through. One probe at a time finds out when that
//     ends.
//   - concurrency: a dataset takes so many requests at once. This holds for
//     the dataset alone, beside any of the other three for its quota.
//
// Each send takes a [Ticket] from [Pacer.Wait] and gives it back to
// [Pacer.Done] with its outcome, which is all the package ever learns from.
//
// Where it is weak:
//
//   - A 503 counts as a refusal, since some limiters say it so; a 500, 502 or
//     504 does not. One alone is forgiven, as long as no limit was met. A
//     server that refuses a share of all requests with it, whatever the pace, is
//     told from one that throttles by a trial, in which the pace goes up. That
//     takes some dozen refusals, or seconds, and sometimes minutes: of two
//     minutes' work, a fifth is lost if it refuses one in a hundred, two fifths
//     if it is one in twenty, and three quarters of one in five; with a limit
//     besides, half of it at one in fifty and two thirds to four fifths at one
//     in five. More than two thirds refused is no trial worth.
//   - A window without a Retry-After is learned by losing the rest of it, and
//     then used evenly: a job of a few windows takes longer than it might.
//   - Many programs that share a quota without sharing a Pacer get unequal
//     parts of it.
//   - A dataset that refuses everything is set apart after four refusals, if
//     requests for others are accepted meanwhile: it is sent one request at a
//     time, or the next after 10 s without an answer, and its Retry-After holds
//     it alone. If it is the only one that is asked for, it looks like the
//     quota's limit.
//   - A dataset that takes one request at a time is told from a slow limit only
//     by others of its quota that are accepted beside it.
//   - While nothing goes through, a probe that is not answered holds the host
//     for 10 s, the next for 5 s, and so on down to 2 s.
//   - Of a Retry-After it obeys at most MaxPause, of a 503's at most a minute;
//     that of a 500, 502 or 504 holds its own request only.
//   - A token that is added below, by the Base of a Transport such as AppToken,
//     is not part of the key: it is the quota of the host then.
//
// Apart from that, a [Queue] puts the callers of any limiter in order.
package pace
