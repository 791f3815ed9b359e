package store

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// guardedClient is an HTTP client behind the breaker.
type guardedClient struct {
	*breaker
	next aws.HTTPClient
}

// Do implements aws.HTTPClient. An answer that a server is overloaded is an answer; that a proxy has no server is none.
func (g guardedClient) Do(req *http.Request) (resp *http.Response, err error) {
	err = g.call(func() (verdict, error) {
		resp, err = g.next.Do(req)
		switch {
		case err != nil && gaveUp(req.Context()):
			return noVerdict, err
		case err != nil, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusGatewayTimeout:
			return failed, err
		}
		return answered, nil
	})
	return resp, err
}
