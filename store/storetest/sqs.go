package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retainwise/millrace/store/queue"
)

var sqs server[string]

// Queue is an SQS queue with a dead-letter queue, to which messages go that were received twice.
type Queue struct {
	queue.Config
	DeadURL string
	Client  *awssqs.Client // for looking at both from outside
}

// SQS returns an empty queue of an SQS server. A message that is not deleted comes again after a second.
func SQS(t testing.TB) Queue {
	t.Helper()
	endpoint := sqs.get(t, startSQS)
	client := awssqs.New(awssqs.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	name := uniqueName(t)
	dead := createQueue(t, client, name+"-dead", nil)
	url := createQueue(t, client, name, map[string]string{
		"VisibilityTimeout": "1",
		"RedrivePolicy": fmt.Sprintf(
			`{"maxReceiveCount":"2","deadLetterTargetArn":"arn:aws:sqs:us-east-1:100010001000:%s-dead"}`, name),
	})
	return Queue{
		Config: queue.Config{
			URL: url, Endpoint: endpoint, Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey,
			RetryPause: RetryPause,
		},
		DeadURL: dead, Client: client,
	}
}

func createQueue(t testing.TB, client *awssqs.Client, name string, attributes map[string]string) string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	return aws.ToString(out.QueueUrl)
}

func startSQS() (string, error) {
	binary, err := tool{"goaws", "github.com/Admiral-Piett/goaws", "github.com/Admiral-Piett/goaws/app/cmd"}.build()
	if err != nil {
		return "", err
	}
	dir, err := makeDir("sqs")
	if err != nil {
		return "", err
	}
	return startServer(dir, "/health", func(port string) (*exec.Cmd, error) {
		file := filepath.Join(dir, "goaws.yaml")
		text := "Local:\n  Host: 127.0.0.1\n  Region: us-east-1\n  AccountId: \"100010001000\"\n  Port: " + port + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(binary, "-config", file, "-loglevel", "error", "Local"), nil
	})
}

// Send sends a message.
func (q Queue) Send(t testing.TB, body string) {
	t.Helper()
	_, err := q.Client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body})
	if err != nil {
		t.Fatalf("send message: %v", err)
	}
}

// HideFor sets after how long a message that was received and not deleted comes again.
func (q Queue) HideFor(t testing.TB, d time.Duration) {
	t.Helper()
	_, err := q.Client.SetQueueAttributes(t.Context(), &awssqs.SetQueueAttributesInput{
		QueueUrl: &q.URL, Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(d / time.Second))},
	})
	if err != nil {
		t.Fatalf("set queue attributes: %v", err)
	}
}

// Left counts the messages of a queue, received or not.
func (q Queue) Left(t testing.TB, url string) (n int) {
	t.Helper()
	out, err := q.Client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		},
	})
	if err != nil {
		t.Fatalf("get queue attributes: %v", err)
	}
	for _, text := range out.Attributes {
		some, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		n += some
	}
	return n
}
