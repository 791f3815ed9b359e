package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/valyala/fasthttp"
)

// authenticateAndLimit finds out who asks and charges the request to them, or, where no token is needed, to the caller's address.
func (s *server) authenticateAndLimit(r *request) error {
	who := s.clientKey(r)
	if !r.route.Open {
		if err := s.authenticate(r); err != nil {
			return s.countFailedLogin(r, who, err)
		}
		who = "user " + r.user.Subject
	}
	if err := s.limitRate(r, r.route.Limit, who); err != nil {
		return err
	}
	return r.checkScope()
}

func (s *server) countFailedLogin(r *request, who string, err error) error {
	if fault.Explain(err).HTTPStatus() != fasthttp.StatusUnauthorized {
		return err // no token was guessed wrong
	}
	if a, _ := s.limiter.Take(r.ctx, limit.Login, who); a.Retry > 0 {
		f := fault.Fail(fault.CodeRateLimited, "Too many requests with a token that is not valid.").Because(err)
		f.RetryAfter = a.Retry
		return f
	}
	return err
}

// limitUnrouted charges a request that no route takes, to the user whose token it has, else to the caller's address. A
// wrong token is counted as one, but says nothing about the address that was asked for.
func (s *server) limitUnrouted(r *request) error {
	who := s.clientKey(r)
	if r.header("Authorization") != "" {
		if err := s.authenticate(r); err == nil {
			who = "user " + r.user.Subject
		} else if err := s.countFailedLogin(r, who, err); fault.Explain(err).Code == fault.CodeRateLimited {
			return err
		}
	}
	return s.limitRate(r, limit.Default, who)
}

func (s *server) limitRate(r *request, class limit.Class, who string) error {
	a, limited := s.limiter.Take(r.ctx, class, who)
	if !limited {
		return nil
	}
	r.setRateLimitHeaders(a)
	if a.Retry > 0 {
		f := fault.Fail(fault.CodeRateLimited, fmt.Sprintf("You have sent more than %d requests of this kind in a minute.", a.Limit)).
			With(fault.Details{"limit": a.Limit, "unit": "requests per minute"})
		f.RetryAfter = a.Retry
		return f
	}
	return nil
}

// setRateLimitHeaders says what is left of a budget: in the headers of the draft standard, and in those that most clients
// know, of which the last is a time in seconds since 1970.
func (r *request) setRateLimitHeaders(a limit.Allowance) {
	r.set("RateLimit-Policy", a.Policy())
	r.set("RateLimit", a.State())
	r.set("X-RateLimit-Limit", strconv.Itoa(a.Limit))
	r.set("X-RateLimit-Remaining", strconv.Itoa(a.Remaining))
	r.set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(a.Reset+time.Second-1).Unix(), 10))
}
