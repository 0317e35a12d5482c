package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// demo is the command that shows the others: a Redis, a portal and four
// workers, each a process of its own.
func demo(ctx context.Context, args []string, out io.Writer) error {
	if err := parse(flag.NewFlagSet("fleet demo", flag.ContinueOnError), args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return &misuse{errors.New("demo takes no flags; for a real portal there are plan, work and join")}
	}
	dir, err := os.MkdirTemp("", "fleet-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	children := &family{ctx: ctx, out: out}
	defer children.wg.Wait()
	defer stop()
	redis, err := startRedis(ctx, children, dir)
	if err != nil {
		return err
	}
	portal, err := children.startPortal()
	if err != nil {
		return err
	}
	job := []string{"-redis", redis, "-dir", filepath.Join(dir, "job")}
	plan := append([]string{"-portal", portal, "-dataset", sodatest.SampleID, "-page", "100"}, job...)
	if err := planPages(ctx, plan, out); err != nil {
		return err
	}
	results := make(chan error)
	for range 4 {
		cmd := children.command(append([]string{"work", "-rps", "50"}, job...)...)
		go func() { results <- cmd.Run() }()
	}
	for range 4 {
		err = errors.Join(err, <-results)
	}
	if err != nil {
		return err
	}
	return join(ctx, []string{"-dir", filepath.Join(dir, "job"), "-out", filepath.Join(dir, "rows.csv")}, out)
}

// A family is the processes that the demonstration starts. They are told to
// stop when ctx ends.
type family struct {
	ctx context.Context
	out io.Writer
	wg  sync.WaitGroup
}

// command returns a process that does what fleet does.
func (c *family) command(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return c.program(self, args...)
}

func (c *family) program(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	return cmd
}

// startRedis starts a Redis that keeps nothing, and returns its URL.
func startRedis(ctx context.Context, c *family, dir string) (url string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	cmd := c.program("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("the demonstration needs redis-server (apt-get install redis-server): %w", err)
	}
	c.wg.Go(func() { cmd.Wait() })
	j := job{redis: "redis://127.0.0.1:" + port}
	for range 100 {
		redis, err := j.connect(ctx)
		if err == nil {
			return j.redis, redis.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", errors.New("redis-server does not start")
}

// startPortal starts a fake Socrata and returns its URL. What it says last goes
// to c.out.
func (c *family) startPortal() (url string, err error) {
	cmd := c.command("serve")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewReader(pipe)
	url, err = lines.ReadString('\n')
	c.wg.Go(func() {
		last, _ := io.ReadAll(lines)
		cmd.Wait()
		fmt.Fprintf(c.out, "the portal had %s", last)
	})
	return strings.TrimSpace(url), err
}
