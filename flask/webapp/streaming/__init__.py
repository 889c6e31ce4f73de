"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) to many subscribers at once.

- ``feed``: what has changed in the ledger
- ``channel``: what a stream tells about it
- ``payload``: the bytes of that, plain and compressed
- ``transport``: one subscriber's connection: the HTTP head, then payloads
- ``service``: the thread that looks at the feed and sends to all subscribers
- ``answer``: answers a request of Flask with a stream
"""
