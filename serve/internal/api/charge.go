package serve

import (
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// identify finds out who asks and charges the request to them, or, where no token is needed, to the caller's address.
func (s *server) identify(r *request) error {
	who := s.peer(r)
	if !r.route.open {
		if err := s.authenticate(r); err != nil {
			return s.countFailedLogin(r, who, err)
		}
		who = "user " + r.user.Subject
	}
	if err := s.charge(r, r.route.limit, who); err != nil {
		return err
	}
	return r.checkScope()
}

func (s *server) countFailedLogin(r *request, who string, err error) error {
	if explain(err).httpStatus() != fasthttp.StatusUnauthorized {
		return err // nobody's guess was wrong
	}
	if a, _ := s.limiter.take(r.ctx, limitLogin, who); a.retry > 0 {
		f := fail(CodeRateLimited, "Too many requests with a token that is not valid.").because(err)
		f.retryAfter = a.retry
		return f
	}
	return err
}

// chargeStray charges a request that no route takes, to the user whose token it has, else to the caller's address. A
// wrong token is counted as one, but says nothing about the address that was asked for.
func (s *server) chargeStray(r *request) error {
	who := s.peer(r)
	if r.header("Authorization") != "" {
		if err := s.authenticate(r); err == nil {
			who = "user " + r.user.Subject
		} else if err := s.countFailedLogin(r, who, err); explain(err).code == CodeRateLimited {
			return err
		}
	}
	return s.charge(r, limitDefault, who)
}

func (s *server) charge(r *request, class limitClass, who string) error {
	a, limited := s.limiter.take(r.ctx, class, who)
	if !limited {
		return nil
	}
	r.setAllowance(a)
	if a.retry > 0 {
		f := fail(CodeRateLimited, fmt.Sprintf("You have sent more than %d requests of this kind in a minute.", a.limit)).
			with(details{"limit": a.limit, "unit": "requests per minute"})
		f.retryAfter = a.retry
		return f
	}
	return nil
}

// setAllowance says what is left of a budget: in the headers of the draft standard, and in those that most clients
// know, of which the last is a time in seconds since 1970.
func (r *request) setAllowance(a allowance) {
	r.set("RateLimit-Policy", a.policy())
	r.set("RateLimit", a.state())
	r.set("X-RateLimit-Limit", strconv.Itoa(a.limit))
	r.set("X-RateLimit-Remaining", strconv.Itoa(a.remaining))
	r.set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(a.reset+time.Second-1).Unix(), 10))
}
