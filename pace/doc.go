// Package pace says when to send. A [Pacer] learns the limits that a server
// does not tell, from its answers, and shares them among all who send on the
// same quota; a [Queue] puts the callers of a limiter in order.
package pace
