package classify

// Class is what to do about an outcome.
type Class uint8

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

// Acted says whether the server acted on a request, which decides whether
// sending it again could do its work twice.
type Acted uint8

const (
	ActedUnknown Acted = iota // it may have
	ActedNo                   // proof that it did not: refused before it was read, or never sent
	ActedYes                  // it did, although the answer is an error
)

// String returns "unknown", "no" or "yes".
func (a Acted) String() string { return [...]string{"unknown", "no", "yes"}[min(a, ActedYes)] }

// An Outcome is the verdict on one attempt.
type Outcome struct {
	Kind   Kind   // the catalogue's row, or Unlisted
	Class  Class  // what to do about it
	Acted  Acted  // whether the server acted on the request
	Status int    // the HTTP status; 0 for an error
	Code   string // the error code as the server spelled it; empty if it gave none
}
