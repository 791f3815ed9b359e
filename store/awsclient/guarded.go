package awsclient

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/retainwise/millrace/store/circuit"
)

// guardedClient is an HTTP client behind the breaker.
type guardedClient struct {
	*circuit.Breaker
	next aws.HTTPClient
}

// Do implements aws.HTTPClient. A 503 of an overloaded server counts as an answer; a 502
// or 504 of a proxy without a server does not.
func (g guardedClient) Do(req *http.Request) (resp *http.Response, err error) {
	err = g.Call(func() (circuit.Verdict, error) {
		resp, err = g.next.Do(req)
		switch {
		case err != nil && circuit.CallerCancelled(req.Context()):
			return circuit.NoVerdict, err
		case err != nil, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusGatewayTimeout:
			return circuit.Failed, err
		}
		return circuit.Answered, nil
	})
	return resp, err
}
