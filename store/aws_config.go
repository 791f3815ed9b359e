package store

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// connectTimeout is for one address: an answer to a request is promised within 2 s.
const connectTimeout = 1500 * time.Millisecond

type awsAccess struct {
	endpoint, region, accessKey, secretKey string
}

// loadAWS reads AWS's usual places. The transport gives up on a server that accepts a request and then says nothing.
// A call is tried three times; a longer outage is for the breaker and for callers that have the time. What a service
// refuses is looked for again in the usual places.
func loadAWS(ctx context.Context, b *breaker, retryer func() aws.Retryer, a awsAccess) (aws.Config, error) {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = time.Minute
	})
	transport = transport.WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout })
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(transport),
		awsconfig.WithRetryer(retryer),
	}
	if a.region != "" {
		options = append(options, awsconfig.WithRegion(a.region))
	}
	if a.endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(a.endpoint), awsconfig.WithDefaultRegion("us-east-1"))
	}
	if a.accessKey != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(a.accessKey, a.secretKey, "")))
	}
	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return config, err
	}
	config.HTTPClient = guardedClient{b, config.HTTPClient}
	if a.accessKey == "" {
		renewed := newRenewedCredentials(config.Credentials, func(ctx context.Context) (aws.CredentialsProvider, error) {
			again, err := awsconfig.LoadDefaultConfig(ctx, options...)
			return again.Credentials, err
		})
		config.Credentials = renewed
		config.APIOptions = append(config.APIOptions, renewed.watch)
	}
	return config, nil
}
