package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/valyala/fasthttp"
)

// authenticateAndLimit authenticates a request and applies the rate limit of its route to the user, or, where no token is
// needed, to the client's address.
func (s *server) authenticateAndLimit(r *request) error {
	key := r.address
	if !r.route.Open {
		if err := s.authenticate(r); err != nil {
			return s.limitFailedLogins(r, key, err)
		}
		key = userKey(r.user.Subject)
	}
	if err := s.limitRate(r, r.route.Limit, key); err != nil {
		return err
	}
	return r.checkScope()
}

// userKey is the limiter's name of a user; clientKey is that of an address.
func userKey(subject string) string { return "user " + subject }

// limitFailedLogins charges an invalid token to the client's address. It returns err, or a rate limit error if the address
// has sent too many.
func (s *server) limitFailedLogins(r *request, key string, err error) error {
	if storefault.Explain(err).HTTPStatus() != fasthttp.StatusUnauthorized {
		return err // an outage, not an invalid token
	}
	if a, _ := s.limiter.Take(r.ctx, limit.Login, key); a.Retry > 0 {
		return tooManyLogins(a).Because(err)
	}
	return err
}

func tooManyLogins(a limit.Allowance) *fault.Failure {
	f := fault.Fail(fault.CodeRateLimited, "Too many requests with a token that is not valid.")
	f.RetryAfter = a.Retry
	return f
}

// limitUnrouted applies the default rate limit to a request without a route: to the user of its token, or else to the
// client's address. An invalid token counts as a failed login, but the answer is that of the unknown path.
func (s *server) limitUnrouted(r *request) error {
	key := r.address
	if r.header("Authorization") != "" {
		if err := s.authenticate(r); err == nil {
			key = userKey(r.user.Subject)
		} else if err := s.limitFailedLogins(r, key, err); storefault.Explain(err).Code == fault.CodeRateLimited {
			return err
		}
	}
	return s.limitRate(r, limit.Default, key)
}

// limitRate charges a request to the budget of a class (the rates are in internal/limit), and returns an error with Retry-After
// if the budget is spent.
func (s *server) limitRate(r *request, class limit.Class, key string) error {
	a, limited := s.limiter.Take(r.ctx, class, key)
	if !limited {
		return nil
	}
	if a.Retry > 0 {
		return r.tooMany(a)
	}
	r.setRateLimitHeaders(a)
	return nil
}

// tooMany returns the error of a user or an address without a request left, and sets the headers that say so.
func (r *request) tooMany(a limit.Allowance) *fault.Failure {
	r.setRateLimitHeaders(a)
	f := fault.Fail(fault.CodeRateLimited, fmt.Sprintf("You have sent more than %d requests of this kind in a minute.", a.Limit)).
		With(fault.Details{"limit": a.Limit, "unit": "requests per minute"})
	f.RetryAfter = a.Retry
	return f
}

// setRateLimitHeaders sets the headers of the draft standard, and those that most clients use: X-RateLimit-Limit, -Remaining
// and -Reset (seconds since 1970).
func (r *request) setRateLimitHeaders(a limit.Allowance) {
	r.set("RateLimit-Policy", a.Policy())
	r.set("RateLimit", a.State())
	r.set("X-RateLimit-Limit", strconv.Itoa(a.Limit))
	r.set("X-RateLimit-Remaining", strconv.Itoa(a.Remaining))
	r.set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(a.Reset+time.Second-1).Unix(), 10))
}
