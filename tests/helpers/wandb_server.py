"""Plays as much of a W&B server as its client needs to open a run, send it and close it; it can die in the middle."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class PlayedServer:
    """A server on 127.0.0.1.

    Attributes:
        url: Its address, for WANDB_BASE_URL.
        runs: What was said of each run when it was opened, by its id.
        history: Rows of each run's history, by its id.
        exit_codes: Exit code of each run that was closed.
        uploads: Names of the files that were sent.
        views: Specifications of the dashboards that were saved.
        sweep_config: That of the sweep that was made.
        trials: What an agent of the sweep is still to be told.
    """

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.uploads: list[str] = []
        self.views: list[dict[str, Any]] = []
        self.sweep_config = ""
        self.trials: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse every connection from now on."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """What GraphQL gives; None where it gives an error, as for all that has to do with artifacts."""
        if "upsertBucket" in query:
            name = variables.get("name") or variables["id"]
            inserted = name not in self.runs
            self.runs.setdefault(name, {}).update({k: v for k, v in variables.items() if v is not None})
            project = {"id": "p", "name": "project", "entity": {"id": "e", "name": "entity"}}
            bucket = {"id": name, "name": name, "displayName": name, "config": None, "project": project,
                      "historyLineCount": len(self.history.get(name, []))}  # fmt: skip
            return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            person = {"id": "v", "entity": "entity", "username": "person", "teams": {"edges": []}, "flags": "{}"}
            return {"viewer": person, "serverInfo": {"cliVersionInfo": {}, "features": []}}
        if any(word in query for word in ("upsertSweep", "SweepWithRuns", "createAgent", "agentHeartbeat")):
            return self._sweep(query, variables)
        if "upsertView" in query:
            self.views.append(json.loads(variables["spec"]))
            return {"upsertView": {"view": {"id": "view", "name": "view"}, "inserted": True}}
        if "query RunResumeStatus" in query:
            return {"model": self._resume_status(variables["name"])}
        return None if "rtifact" in query.split("(")[0] and "mutation" in query else {"project": None}

    def _sweep(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """A sweep, which gives an agent its `trials` one after the other."""
        project = {"id": "p", "name": "project", "entity": {"id": "e", "name": "entity"}}
        if "upsertSweep" in query:
            self.sweep_config = variables["config"]
            return {"upsertSweep": {"sweep": {"name": "sweep", "project": project}, "configValidationWarnings": []}}
        if "createAgent" in query:
            return {"createAgent": {"agent": {"id": "agent"}}}
        if "agentHeartbeat" in query:
            busy = any(json.loads(variables["runState"] or "{}").values())
            commands = [] if busy or not self.trials else [self.trials.pop(0)]
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}
        sweep = {"id": "sweep", "name": "sweep", "state": "RUNNING", "config": self.sweep_config,
                 "runs": {"edges": []}}  # fmt: skip
        return {"project": {**project, "sweep": sweep}}

    def _resume_status(self, name: str) -> dict[str, Any]:
        project = {"id": "p", "name": "project", "entity": {"id": "e", "name": "entity"}, "bucket": None}
        if name in self.runs:
            rows = self.history.get(name, [])
            project["bucket"] = {
                "id": name, "name": name, "displayName": name, "summaryMetrics": "{}", "logLineCount": 0,
                "historyLineCount": len(rows), "eventsLineCount": 0, "eventsTail": "[]", "config": "{}", "tags": [],
                "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]), "wandbConfig": '{"t": 1}',
            }  # fmt: skip
        return project

    def stream(self, run: str, sent: dict[str, Any]) -> None:
        """Take rows of the history, and the end of a run."""
        for name, part in (sent.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                rows = self.history.setdefault(run, [])
                rows[part["offset"] :] = [json.loads(line) for line in part["content"]]
        if sent.get("complete"):
            self.exit_codes[run] = sent["exitcode"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self._body()
                if self.path.endswith("graphql"):
                    sent = json.loads(body)
                    known = played.answer(sent["query"], sent.get("variables") or {})
                    self._say({"errors": [{"message": "not played"}]} if known is None else {"data": known})
                    return
                if self.path.endswith("file_stream"):
                    played.stream(self.path.split("/")[-2], json.loads(body))
                self._say({})  # what the client measures of itself, say

            def do_PUT(self) -> None:
                self._body()
                played.uploads.append(self.path.removeprefix("/upload/"))
                self._say({})

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _say(self, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
