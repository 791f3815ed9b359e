// Package awsclient configures the clients of S3 and SQS: credentials that are read again after a refusal, three attempts
// with backoff, a circuit breaker, and a report of each call.
package awsclient

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/retainwise/millrace/store/circuit"
)

// connectTimeout is for one address, so that a request is answered within 2 s.
const connectTimeout = 1500 * time.Millisecond

// Access is where a service is and how to sign in. Empty fields come from AWS's usual places.
type Access struct {
	Endpoint, Region, AccessKey, SecretKey string
}

// Load returns the configuration of a client, with what a leaves out from AWS's usual places. The transport times out
// on a server that accepts a request and sends nothing. A call is tried three times; a longer outage is for the breaker
// b and for callers. Credentials that a service refuses are read again, unless a has them.
func Load(ctx context.Context, b *circuit.Breaker, retryer func() aws.Retryer, a Access) (aws.Config, error) {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = time.Minute
	})
	transport = transport.WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout })
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(transport),
		awsconfig.WithRetryer(retryer),
	}
	if a.Region != "" {
		options = append(options, awsconfig.WithRegion(a.Region))
	}
	if a.Endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(a.Endpoint), awsconfig.WithDefaultRegion("us-east-1"))
	}
	if a.AccessKey != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, "")))
	}
	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return config, err
	}
	config.HTTPClient = guardedClient{b, config.HTTPClient}
	if a.AccessKey == "" {
		renewed := newRenewedCredentials(config.Credentials, func(ctx context.Context) (aws.CredentialsProvider, error) {
			again, err := awsconfig.LoadDefaultConfig(ctx, options...)
			return again.Credentials, err
		})
		config.Credentials = renewed
		config.APIOptions = append(config.APIOptions, renewed.watch)
	}
	return config, nil
}
