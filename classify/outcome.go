package classify

// Class is what to do about an outcome. The zero Class is Final.
type Class uint8

// The classes. Whether a Transient or Throttled request may be sent again also
// depends on [Acted] and [Idempotent].
const (
	Final     Class = iota // hand it back: a success, or a failure that another attempt would repeat
	Transient              // a passing fault: another attempt may succeed
	Throttled              // the server asks for less: another attempt will succeed, later
	Pending                // accepted and not done: ask again for the result
)

// String returns the name of c in lower case, such as "throttled".
func (c Class) String() string {
	switch c {
	case Final:
		return "final"
	case Transient:
		return "transient"
	case Throttled:
		return "throttled"
	case Pending:
		return "pending"
	}
	return "unknown"
}

// MarshalText gives what String does.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Acted says whether the server acted on a request, which decides whether
// sending it again could do its work twice.
type Acted uint8

// What is known of the server's part.
const (
	ActedUnknown Acted = iota // it may have
	ActedNo                   // proof that it did not: never sent, or refused before anything was applied
	ActedYes                  // it did: every 2xx, and an error that says "Row data was saved."
)

// String returns "unknown", "no" or "yes".
func (a Acted) String() string { return [...]string{"unknown", "no", "yes"}[min(a, ActedYes)] }

// MarshalText gives what String does.
func (a Acted) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// An Outcome is the verdict on one attempt.
type Outcome struct {
	Kind   Kind   // the catalogue's row, by code where Of looked for one, else by status; or Unlisted
	Class  Class  // what to do about it
	Acted  Acted  // whether the server acted on the request
	Status int    // the HTTP status; 0 for an error
	Code   string // the error code as the server spelled it; empty if it gave none or Of did not look
}
