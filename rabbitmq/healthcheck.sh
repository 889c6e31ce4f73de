#!/bin/bash
# Healthy: the broker answers the AMQP greeting with Connection.Start (class 10, method 10).
# rabbitmq-diagnostics would start a second Erlang machine every few seconds.
exec 3<>/dev/tcp/127.0.0.1/5672 || exit 1
printf 'AMQP\x00\x00\x09\x01' >&3
frame=$(timeout 3 head --bytes 11 <&3 | od --address-radix n --format x1 --width=11)
[[ $frame == *' 00 0a 00 0a' ]]
