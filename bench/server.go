package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// server is a child process that serves.
type server struct {
	addr    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     *os.File
}

// launch starts a server that has one processor: its clients have the other.
func launch(ctx context.Context, folder string, s spec) (*server, error) {
	return launchWith(ctx, folder, s, "GOMAXPROCS=1")
}

func launchWith(ctx context.Context, folder string, s spec, environment ...string) (*server, error) {
	text, err := json.Marshal(s) //nolint:gosec // the key of a store of this run
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, "-serve", string(text)) //nolint:gosec // this program itself
	command.Env = append(os.Environ(), environment...)
	return startProcess(folder, command)
}

// startProcess starts a server that says its address and ends with its input.
func startProcess(folder string, command *exec.Cmd) (_ *server, err error) {
	c := &server{command: command}
	if c.log, err = os.CreateTemp(folder, "server-*.log"); err != nil {
		return nil, err
	}
	c.command.Stderr = c.log
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		log, _ := os.ReadFile(c.log.Name())
		return nil, errors.Join(fmt.Errorf("the server did not start: %s", log), c.stop())
	}
	c.addr = strings.TrimSpace(line)
	return c, nil
}

// tell sends a word and takes the answer.
func (c *server) tell(word string) (u usage, err error) {
	if _, err := fmt.Fprintln(c.in, word); err != nil {
		return u, err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return u, fmt.Errorf("the server is gone: %w", err)
	}
	return u, json.Unmarshal(line, &u)
}

func (c *server) usage() (usage, error) { return c.tell("usage") }

func (c *server) stop() error {
	return errors.Join(c.in.Close(), c.command.Wait(), c.log.Close())
}
