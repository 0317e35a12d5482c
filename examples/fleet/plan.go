package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A plan is what is to be exported. It is in the directory of the job.
type plan struct {
	Portal   string `json:"portal"`
	Dataset  string `json:"dataset"`
	PageRows int    `json:"page_rows"`
	Rows     int    `json:"rows"`
	Modified string `json:"modified"` // as the portal says
}

func (p *plan) pages() int { return (p.Rows + p.PageRows - 1) / p.PageRows }

// rowsOf returns how many rows a page has.
func (p *plan) rowsOf(page int) int { return min(p.PageRows, p.Rows-page*p.PageRows) }

// queue is the name of the job's queue: the same plan has the same.
func (p *plan) queue() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", *p))
	return fmt.Sprintf("fleet-%x", sum[:8])
}

func (p *plan) url(soql url.Values, format string) string {
	return p.Portal + "/resource/" + p.Dataset + "." + format + "?" + soql.Encode()
}

var fourByFour = regexp.MustCompile(`^[a-z0-9]{4}-[a-z0-9]{4}$`)

// planPages is the command.
func planPages(ctx context.Context, args []string, out io.Writer) error {
	var j job
	var p plan
	f := j.flags("plan")
	f.StringVar(&p.Portal, "portal", "", "the `URL` of the portal")
	f.StringVar(&p.Dataset, "dataset", "", "the `id` of the data set, such as abcd-1234")
	f.IntVar(&p.PageRows, "page", 1000, "how many `rows` a page has")
	if err := parse(f, args); err != nil {
		return err
	}
	if !fourByFour.MatchString(p.Dataset) || p.PageRows < 1 {
		return &misuse{errors.New("it needs -portal https://data.example.gov, -dataset abcd-1234 and a -page of at least 1")}
	}
	token := os.Getenv("SODA_APP_TOKEN")
	portal, err := origin(p.Portal, token)
	if err != nil {
		return &misuse{err}
	}
	p.Portal = portal.String()
	redis, err := j.connect(ctx) // before there is something to wait for
	if err != nil {
		return err
	}
	defer redis.Close()
	if err := p.count(ctx, portal.Host, token, os.Stderr); err != nil {
		return err
	}
	if err := j.save(&p); err != nil {
		return err
	}
	return j.enqueue(ctx, redis, &p, out)
}

// origin returns the URL of a portal, which everybody may see: there is no more
// to it than a scheme and a host. No error shows what else there was.
func origin(portal, token string) (*url.URL, error) {
	u, err := url.Parse(portal)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http",
		u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("-portal wants a scheme and a host and nothing else, such as https://data.example.gov")
	case token != "" && u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("a token over plain http can be read by all on the way: use https")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// count asks the portal how many rows there are, and since when. It tells log
// what it waits for.
func (p *plan) count(ctx context.Context, host, token string, log io.Writer) error {
	client := &http.Client{Transport: &transport.StatusErrors{Base: &transport.Transport{
		Base:   &transport.AppToken{Token: token, Host: host},
		Policy: policy.Batch(),
		OnEvent: func(e transport.Event) {
			if a := e.Attempt(); e.Kind == transport.AttemptDone && e.Next != policy.Stop {
				fmt.Fprintf(log, "fleet plan: counting the rows: %s; next in %v\n", outcome(a), a.Wait.Round(time.Second))
			}
		},
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(url.Values{"$select": {"count(*)"}}, "json"), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return judge(err)
	}
	defer resp.Body.Close()
	p.Modified = resp.Header.Get("X-SODA2-Truth-Last-Modified")
	if p.Rows, err = readCount(resp.Body); err != nil {
		return fmt.Errorf("the portal does not say how many rows there are: %w", err)
	}
	return nil
}

// outcome names what an attempt came to.
func outcome(a transport.Attempt) string {
	if a.Status == 0 && a.Err != nil {
		return a.Err.Error()
	}
	return fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
}

// readCount reads [{"count":"17"}].
func readCount(r io.Reader) (int, error) {
	var answer []struct{ Count string }
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return 0, err
	}
	if len(answer) != 1 {
		return 0, fmt.Errorf("the answer has %d rows, and should have 1", len(answer))
	}
	n, err := strconv.Atoi(answer[0].Count)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the count is %.40q", answer[0].Count)
	}
	return n, nil
}

// judge tells what may pass from what will not.
func judge(err error) error {
	var last *transport.Error
	if errors.As(err, &last) && last.History[len(last.History)-1].Class != classify.Final {
		return later("%w", classify.RedactError(err))
	}
	return classify.RedactError(err)
}

// save writes p, unless there is a plan: then it must be the same.
func (j *job) save(p *plan) error {
	old, err := j.load()
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case *old != *p:
		return fmt.Errorf("%s has the plan of another job, or the data set has changed since: use another -dir", j.dir)
	default:
		return nil
	}
	if err := os.MkdirAll(j.dir, 0o777); err != nil {
		return err
	}
	return writeFile(j.planFile(), func(w io.Writer) error { return json.NewEncoder(w).Encode(p) })
}

func (j *job) load() (*plan, error) {
	b, err := os.ReadFile(j.planFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, noPlan(j.dir)
	}
	if err != nil {
		return nil, err
	}
	p := new(plan)
	if err := json.Unmarshal(b, p); err != nil || p.PageRows < 1 || p.Rows < 0 {
		return nil, fmt.Errorf("%s is damaged: remove it, and plan again", j.planFile())
	}
	return p, nil
}

// noPlan is the error that there is no plan in a directory.
type noPlan string

func (n noPlan) Error() string      { return "there is no plan in " + string(n) + ": run fleet plan first" }
func (noPlan) Is(target error) bool { return target == os.ErrNotExist }

// enqueue puts the pages that are missing into the queue. The name of a task is
// its page, so the queue has none twice.
func (j *job) enqueue(ctx context.Context, redis *redis.Client, p *plan, out io.Writer) error {
	queue, client, inspector := p.queue(), asynq.NewClientFromRedisClient(redis), asynq.NewInspectorFromRedisClient(redis)
	there, added := 0, 0
	for page := range p.pages() {
		if j.has(page) {
			there++
			continue
		}
		id := strconv.Itoa(page)
		_, err := client.EnqueueContext(ctx, asynq.NewTask("page", []byte(id)), asynq.TaskID(id), asynq.Queue(queue), asynq.MaxRetry(10))
		switch {
		case err == nil:
			added++
		case !errors.Is(err, asynq.ErrTaskIDConflict):
			return later("the queue does not take page %d: %w", page, err)
		}
	}
	again := 0
	q, err := look(inspector, queue)
	if err == nil && q != nil {
		again, err = inspector.RunAllArchivedTasks(queue) // those that were given up
	}
	if err != nil {
		return later("the queue cannot be asked: %w", err)
	}
	fmt.Fprintf(out, "%d rows in %d pages: %d are there, %d added, %d to be tried again\n", p.Rows, p.pages(), there, added, again)
	return nil
}
